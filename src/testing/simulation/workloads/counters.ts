import {
  type Installation,
  MalformedCommand,
  type Snapshot,
  type StateMachine,
} from '../../../machine/machine.ts'
import type { Workload } from '../workload.ts'

/** Named counters: a machine without time in it. A command is a name; applying it counts one more. */
export class Counters implements StateMachine<number> {
  readonly signature = 'counters/1'
  #counts = new Map<string, number>()

  apply(command: Uint8Array): number {
    if (command.length === 0) throw new MalformedCommand('a counter has a name')
    const name = Buffer.from(command).toString()
    const count = (this.#counts.get(name) ?? 0) + 1
    this.#counts.set(name, count)
    return count
  }

  capture(): Snapshot {
    const counts = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1))
    return {
      size: counts.length,
      items: () => counts.values().map((entry) => Buffer.from(JSON.stringify(entry))),
      release() {},
    }
  }

  install(): Installation {
    const counts = new Map<string, number>()
    return {
      add(items) {
        for (const item of items) {
          const [name, count] = JSON.parse(Buffer.from(item).toString()) as [string, number]
          counts.set(name, count)
        }
      },
      commit: () => {
        this.#counts = counts
      },
    }
  }
}

/** Counters: nothing hides a command that was applied twice, or left out. */
export const countersWorkload: Workload<Counters> = {
  name: 'counters',
  machine: () => new Counters(),
  chunkBytes: 64,
  write: ({ submit, chance, tag }) =>
    submit(Buffer.from(chance.happens(0.3) ? tag : `counter-${chance.integer(0, 9)}`)),
}
