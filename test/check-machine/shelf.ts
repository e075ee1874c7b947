import type { Items } from '../../src/machine/items.ts'
import {
  type CommandContext,
  type Installation,
  MalformedCommand,
  type Snapshot,
  type StateMachine,
} from '../../src/machine/machine.ts'

export interface Thing {
  n: number
  /** When it dies, by machine time; 0: never. */
  dieMs: number
}

/** A sound machine: named things that die with time. Broken ones are made of it. */
export class Shelf implements StateMachine<unknown> {
  readonly signature: string = 'shelf/1'
  things = new Map<string, Thing>()

  apply(command: Uint8Array, { timeMs }: CommandContext): unknown {
    const [name, n, ttlMs] = this.decode(command)
    const isNew = !this.things.has(name)
    if (n === 0) this.things.delete(name)
    else this.things.set(name, { n, dieMs: ttlMs === 0 ? 0 : timeMs + ttlMs })
    return { isNew, size: this.things.size }
  }

  advance(timeMs: number): void {
    for (const [name, { dieMs }] of this.things) if (dieMs !== 0 && dieMs <= timeMs) this.things.delete(name)
  }

  get dueMs(): number | undefined {
    const dues = [...this.things.values()].flatMap(({ dieMs }) => (dieMs === 0 ? [] : dieMs))
    return dues.length === 0 ? undefined : Math.min(...dues)
  }

  capture(_signature: string): Snapshot {
    const items = this.itemsNow()
    return { size: items.length, items: () => items, release() {} }
  }

  install(_signature: string): Installation {
    const things = new Map<string, Thing>()
    return {
      add: (items) => this.addTo(things, items),
      commit: () => {
        this.things = things
      },
    }
  }

  itemsNow(): Uint8Array[] {
    const sorted = [...this.things].sort(([a], [b]) => (a < b ? -1 : 1))
    return sorted.map(([name, { n, dieMs }]) => encode(name, n, dieMs))
  }

  addTo(things: Map<string, Thing>, items: Items): void {
    for (const item of items) {
      const [name, n, dieMs] = this.decode(item)
      things.set(name, { n, dieMs })
    }
  }

  decode(bytes: Uint8Array): [name: string, n: number, ms: number] {
    const [, name, n, ms] = /^(\w{1,20}) (-?\d{1,9}) (\d{1,16})$/.exec(Buffer.from(bytes).toString()) ?? []
    if (name === undefined) throw new MalformedCommand('a thing is a name and two numbers')
    return [name, Number(n), Number(ms)]
  }
}

/** @param ms a command's TTL, or the time at which an item dies */
export function encode(name: string, n: number, ms = 0): Uint8Array {
  return Buffer.from(`${name} ${n} ${ms}`)
}
