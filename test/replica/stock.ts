import {
  type CommandContext,
  type Installation,
  MalformedCommand,
  type Snapshot,
  type StateMachine,
} from '../../src/machine/machine.ts'

interface Article {
  count: number
  reserved: number
}

/** A state machine that lives on: articles and how many there are. The second version also reserves some. */
export class Stock implements StateMachine<number> {
  readonly signature: string
  readonly older: readonly string[]
  readonly upgrades: string[] = []
  articles = new Map<string, Article>()

  /** @param versions what it speaks, the newest first */
  constructor(...versions: readonly [1] | readonly [2] | readonly [2, 1]) {
    const [signature, ...older] = versions.map((version) => `stock/${version}`)
    this.signature = signature!
    this.older = older
  }

  /** `name +n`; in the second version also `name !n`, which reserves. Returns how many can be had. */
  apply(command: Uint8Array, { signature }: CommandContext): number {
    const [, name, what, amount] = /^(\w+) ([+!])(\d+)$/.exec(Buffer.from(command).toString()) ?? []
    if (name === undefined || (what === '!' && signature === 'stock/1'))
      throw new MalformedCommand('no order')
    const article = this.articles.get(name) ?? { count: 0, reserved: 0 }
    if (what === '+') article.count += Number(amount)
    else article.reserved = Math.min(article.count, article.reserved + Number(amount))
    this.articles.set(name, article)
    return article.count - article.reserved
  }

  /** The new version writes names in capitals. */
  upgrade(from: string, to: string): void {
    this.upgrades.push(`${from} to ${to}`)
    this.articles = new Map([...this.articles].map(([name, article]) => [name.toUpperCase(), article]))
  }

  capture(signature: string): Snapshot {
    const items = [...this.articles]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, { count, reserved }]) =>
        Buffer.from(signature === 'stock/1' ? `${name} ${count}` : JSON.stringify([name, count, reserved])),
      )
    return { size: items.length, items: () => items, release() {} }
  }

  install(signature: string): Installation {
    const articles = new Map<string, Article>()
    return {
      add: (items) => {
        for (const item of items) {
          const text = Buffer.from(item).toString()
          const [name, count, reserved = 0] =
            signature === 'stock/1' ? text.split(' ') : (JSON.parse(text) as (string | number)[])
          articles.set(String(name), { count: Number(count), reserved: Number(reserved) })
        }
      },
      commit: () => {
        this.articles = articles
      },
    }
  }
}
