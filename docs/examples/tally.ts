import { type Installation, MalformedCommand, type Snapshot, type StateMachine } from 'anchorage/machine'

/** A state machine of one's own: named counters. A command is `["apples", 3]`, add 3 to apples; so is an item. */
export class Tally implements StateMachine<number> {
  readonly signature = 'tally/1'
  #totals = new Map<string, number>()

  total(name: string): number {
    return this.#totals.get(name) ?? 0
  }

  /** The same on every replica: it looks at nothing but the state and the command. */
  apply(command: Uint8Array): number {
    const [name, amount] = decode(command)
    const total = this.total(name) + amount
    if (!Number.isSafeInteger(total))
      throw new MalformedCommand(`${name} would exceed what a number can hold`)
    this.#totals.set(name, total)
    return total
  }

  /** A copy, since commands go on being applied; sorted, since every replica must have the items in one order. */
  capture(): Snapshot {
    const totals = [...this.#totals].sort(([a], [b]) => (a < b ? -1 : 1))
    return { size: totals.length, items: () => totals.values().map(encode), release() {} }
  }

  /** Builds the new state beside the old one, so that a broken transfer changes nothing. */
  install(): Installation {
    const totals = new Map<string, number>()
    return {
      add(items) {
        for (const item of items) totals.set(...decode(item))
      },
      commit: () => {
        this.#totals = totals
      },
    }
  }
}

export function encode(entry: readonly [name: string, amount: number]): Uint8Array {
  return Buffer.from(JSON.stringify(entry))
}

function decode(bytes: Uint8Array): [name: string, amount: number] {
  try {
    const entry: unknown = JSON.parse(Buffer.from(bytes).toString())
    const [name, amount, ...others] = entry as unknown[]
    if (typeof name === 'string' && Number.isSafeInteger(amount) && others.length === 0)
      return [name, Number(amount)]
  } catch {}
  throw new MalformedCommand('a tally entry is ["name", integer]')
}
