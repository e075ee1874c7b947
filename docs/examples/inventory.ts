import { type Installation, MalformedCommand, type Snapshot, type StateMachine } from 'anchorage/machine'

/** Goods come in with a count above 0, and go out with one below. */
export interface Movement {
  readonly article: string
  readonly count: number
}

/** What became of a movement. Nobody can take more than is there. */
export interface Moved {
  readonly done: boolean
  /** The stock of the article after it. */
  readonly stock: number
}

/** A warehouse: the stock of each article. Commands, items and answers are JSON. */
export class Inventory implements StateMachine<Moved> {
  readonly signature = 'inventory/1'
  #stock = new Map<string, number>()

  stockOf(article: string): number {
    return this.#stock.get(article) ?? 0
  }

  /** The same on every replica: it looks at nothing but the state and the command. */
  apply(command: Uint8Array): Moved {
    const { article, count } = decode(command)
    const before = this.stockOf(article)
    const stock = before + count
    if (!Number.isSafeInteger(stock)) throw new MalformedCommand(`there would be too many ${article}`)
    if (stock < 0) return { done: false, stock: before }
    if (stock === 0) this.#stock.delete(article)
    else this.#stock.set(article, stock)
    return { done: true, stock }
  }

  /** `anchorage get ARTICLE` asks for one article, and `anchorage get ''` for how many there are. */
  query(question: Uint8Array): Uint8Array | undefined {
    const article = Buffer.from(question).toString()
    const answer = article === '' ? this.#stock.size : this.#stock.get(article)
    return answer === undefined ? undefined : Buffer.from(JSON.stringify(answer))
  }

  /** A copy, since commands go on being applied; sorted, since every replica must have the items in one order. */
  capture(): Snapshot {
    const items = [...this.#stock].sort(([a], [b]) => (a < b ? -1 : 1))
    return {
      size: items.length,
      items: () => items.values().map(([article, count]) => encode({ article, count })),
      release() {},
    }
  }

  /** Builds the new state beside the old one, so that a broken transfer changes nothing. */
  install(): Installation {
    const stock = new Map<string, number>()
    return {
      add(items) {
        for (const item of items) {
          const { article, count } = decode(item)
          stock.set(article, count)
        }
      },
      commit: () => {
        this.#stock = stock
      },
    }
  }
}

export default Inventory

export function encode({ article, count }: Movement): Uint8Array {
  return Buffer.from(JSON.stringify({ article, count }))
}

function decode(bytes: Uint8Array): Movement {
  try {
    const { article, count } = JSON.parse(Buffer.from(bytes).toString())
    if (typeof article === 'string' && Number.isSafeInteger(count)) return { article, count }
  } catch {}
  throw new MalformedCommand('a movement is {"article": "bolts", "count": 3}')
}
