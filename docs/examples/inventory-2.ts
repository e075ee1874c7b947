import {
  type CommandContext,
  type Installation,
  MalformedCommand,
  type Snapshot,
  type StateMachine,
} from 'anchorage/machine'
import type { Moved } from './inventory.ts'

/** As of version 2, a movement may say below which stock the article is to be ordered. */
export interface Movement {
  readonly article: string
  readonly count: number
  readonly orderBelow?: number
}

interface Stock {
  readonly count: number
  /** Version 1 has none. */
  readonly orderBelow?: number
}

const FIRST = 'inventory/1'

/** Version 2 of the inventory. As long as the group speaks version 1, it does what that one did. */
export class Inventory implements StateMachine<Moved> {
  readonly signature = 'inventory/2'
  readonly older = [FIRST]
  #stock = new Map<string, Stock>()

  stockOf(article: string): number {
    return this.#stock.get(article)?.count ?? 0
  }

  /** The articles that are to be ordered. */
  get low(): string[] {
    const articles = [...this.#stock].filter(([, { count, orderBelow = 0 }]) => count < orderBelow)
    return articles.map(([article]) => article)
  }

  apply(command: Uint8Array, { signature }: CommandContext): Moved {
    const { article, count, ...more } = decode(command, signature)
    const before = this.stockOf(article)
    const stock = before + count
    if (!Number.isSafeInteger(stock)) throw new MalformedCommand(`there would be too many ${article}`)
    if (stock < 0) return { done: false, stock: before }
    if (stock === 0) this.#stock.delete(article)
    else this.#stock.set(article, { ...this.#stock.get(article), ...more, count: stock })
    return { done: true, stock }
  }

  /** At one position of the log, on all replicas: what there is by now is ordered when a tenth of it is left. */
  upgrade(): void {
    for (const [article, { count }] of this.#stock)
      this.#stock.set(article, { count, orderBelow: Math.ceil(count / 10) })
  }

  /** What version 1 does not know is not there while that one is spoken. */
  capture(): Snapshot {
    const items = [...this.#stock].sort(([a], [b]) => (a < b ? -1 : 1))
    return {
      size: items.length,
      items: () => items.values().map(([article, stock]) => encode({ article, ...stock })),
      release() {},
    }
  }

  install(signature: string): Installation {
    const stock = new Map<string, Stock>()
    return {
      add(items) {
        for (const item of items) {
          const { article, ...rest } = decode(item, signature)
          stock.set(article, rest)
        }
      },
      commit: () => {
        this.#stock = stock
      },
    }
  }
}

export default Inventory

export function encode({ article, count, orderBelow }: Movement): Uint8Array {
  return Buffer.from(JSON.stringify({ article, count, orderBelow }))
}

function decode(bytes: Uint8Array, signature: string): Movement {
  try {
    const { article, count, orderBelow } = JSON.parse(Buffer.from(bytes).toString())
    if (typeof article === 'string' && Number.isSafeInteger(count)) {
      // Version 1 passes over what it does not know.
      if (signature === FIRST || orderBelow === undefined) return { article, count }
      if (Number.isSafeInteger(orderBelow) && orderBelow >= 0) return { article, count, orderBelow }
    }
  } catch {}
  throw new MalformedCommand('a movement is {"article": "bolts", "count": 3}, perhaps with "orderBelow": 10')
}
