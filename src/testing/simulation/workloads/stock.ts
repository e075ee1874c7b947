import {
  type CommandContext,
  type Installation,
  MalformedCommand,
  type Snapshot,
  type StateMachine,
} from '../../../machine/machine.ts'

/** The versions that there ever were, the oldest first: see `Stock`. */
export const STOCK_VERSIONS = [1, 2, 3] as const
export type StockVersion = (typeof STOCK_VERSIONS)[number]

/** What is known of an article. What a version does not know of is 0 there. */
interface Article {
  readonly amount: number
  /** Known from version 2 on. */
  readonly moves: number
  /** Known from version 3 on. */
  readonly reserved: number
}

const NONE: Article = { amount: 0, moves: 0, reserved: 0 }

/** A command of each kind, and the first version that understands it. */
export type StockCommand =
  | readonly ['add', name: string, amount: number]
  | readonly ['move', from: string, to: string, amount: number]
  | readonly ['reserve', name: string, amount: number]

const SINCE: Readonly<Record<string, StockVersion>> = { add: 1, move: 2, reserve: 3 }

/** What moves cost in each version: so an `add` does another thing in each. */
const MOVES_OF_ADD: Readonly<Record<StockVersion, number>> = { 1: 0, 2: 1, 3: 2 }

/**
 * A stock of articles, in three versions, each of which speaks older ones too. Commands, items and what a command does
 * differ between them, and an upgrade changes the state. It is strict: whoever has it apply, capture or go over
 * in another version than that of its state gets an error, which stops a replica.
 */
export class Stock implements StateMachine<number> {
  readonly signature: string
  readonly older: readonly string[]
  /** The newest version that it speaks. */
  readonly version: StockVersion
  /** The oldest one. */
  readonly since: StockVersion
  #articles = new Map<string, Article>()
  /** The version that its state is of. Undefined before anything was done. */
  #form: StockVersion | undefined

  constructor(version: StockVersion, since: StockVersion = 1) {
    this.version = version
    this.since = since
    const [signature, ...older] = STOCK_VERSIONS.filter((other) => other >= since && other <= version)
      .reverse()
      .map((other) => `stock/${other}`)
    this.signature = signature!
    this.older = older
  }

  apply(command: Uint8Array, { signature }: CommandContext): number {
    const version = this.#enter(signature)
    const decoded = decode(command)
    const since = SINCE[decoded[0]]
    if (since === undefined || since > version)
      throw new MalformedCommand(`${signature} has no ${decoded[0]}`)
    switch (decoded[0]) {
      case 'add': {
        const [, name, amount] = decoded
        return this.#change(name, { amount, moves: MOVES_OF_ADD[version] }).amount
      }
      case 'move': {
        const [, from, to, amount] = decoded
        this.#change(from, { amount: -amount, moves: 1 })
        return this.#change(to, { amount, moves: 1 }).amount
      }
      case 'reserve': {
        const [, name, reserved] = decoded
        return this.#change(name, { reserved }).reserved
      }
      default:
        return decoded satisfies never
    }
  }

  upgrade(from: string, to: string): void {
    const last = this.#versionOf(to)
    let version = this.#enter(from)
    if (last < version) throw new Error(`nothing leads back from ${from} to ${to}`)
    while (version < last) {
      if (version === 1) this.#countMoves()
      else this.#reserve()
      version = (version + 1) as StockVersion
    }
    this.#form = version
  }

  capture(signature: string): Snapshot {
    const version = this.#enter(signature)
    const articles = [...this.#articles].sort(([a], [b]) => (a < b ? -1 : 1))
    return {
      size: articles.length,
      items: () => articles.values().map(([name, article]) => itemOf(version, name, article)),
      release() {},
    }
  }

  install(signature: string): Installation {
    const version = this.#versionOf(signature)
    const articles = new Map<string, Article>()
    return {
      add(items) {
        for (const item of items) articles.set(...articleIn(version, item))
      },
      commit: () => {
        this.#articles = articles
        this.#form = version
      },
    }
  }

  /** The version that it is to behave as, which is that of its state. */
  #enter(signature: string): StockVersion {
    const version = this.#versionOf(signature)
    this.#form ??= version
    if (this.#form !== version) throw new Error(`the state is of stock/${this.#form}, not of ${signature}`)
    return version
  }

  #versionOf(signature: string): StockVersion {
    const version = STOCK_VERSIONS.find((other) => `stock/${other}` === signature)
    if (version !== undefined && version >= this.since && version <= this.version) return version
    throw new Error(`${this.signature} does not speak ${signature}`)
  }

  #change(name: string, by: Partial<Article>): Article {
    const { amount, moves, reserved } = this.#articles.get(name) ?? NONE
    const changed = {
      amount: amount + (by.amount ?? 0),
      moves: moves + (by.moves ?? 0),
      reserved: reserved + (by.reserved ?? 0),
    }
    this.#articles.set(name, changed)
    return changed
  }

  /** Version 2 knows no article of which there is nothing, and guesses how often the others moved. */
  #countMoves(): void {
    for (const [name, article] of this.#articles)
      if (article.amount === 0) this.#articles.delete(name)
      else this.#articles.set(name, { ...article, moves: Math.abs(article.amount) % 5 })
  }

  /** Version 3 reserves what moves much. */
  #reserve(): void {
    for (const [name, article] of this.#articles)
      this.#articles.set(name, { ...article, reserved: 10 * article.moves })
  }
}

export function encode(command: StockCommand): Uint8Array {
  return Buffer.from(JSON.stringify(command))
}

function decode(command: Uint8Array): StockCommand {
  try {
    return JSON.parse(Buffer.from(command).toString()) as StockCommand
  } catch {
    throw new MalformedCommand('it is no JSON')
  }
}

function itemOf(version: StockVersion, name: string, { amount, moves, reserved }: Article): Uint8Array {
  const items: Readonly<Record<StockVersion, unknown>> = {
    1: [name, amount],
    2: [name, amount, moves],
    3: { name, amount, moves, reserved },
  }
  return Buffer.from(JSON.stringify(items[version]))
}

function articleIn(version: StockVersion, item: Uint8Array): [name: string, article: Article] {
  const decoded: unknown = JSON.parse(Buffer.from(item).toString())
  if (Array.isArray(decoded) && decoded.length === version + 1) {
    const [name, amount, moves = 0] = decoded
    return [name, { amount, moves, reserved: 0 }]
  }
  if (Array.isArray(decoded) || version !== 3)
    throw new Error(`${item.length} bytes are no item of stock/${version}`)
  const { name, ...article } = decoded as Article & { readonly name: string }
  return [name, article]
}
