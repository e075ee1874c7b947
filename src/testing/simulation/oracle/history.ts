import { MachineTime } from '../../../group/machine-time.ts'
import type { RecordedEntry } from '../log.ts'
import type { Workload } from '../workload.ts'
import type { Model } from './model.ts'

/** What the log says: the state after each of its entries. */
export class History {
  readonly #model: Model<never> | undefined
  readonly #time = new MachineTime()
  readonly #digests: string[] = ['']
  readonly #results: unknown[] = [undefined]

  constructor(workload: Workload) {
    this.#model = workload.model?.() as Model<never> | undefined
    this.#digests[0] = this.#model?.digest(0) ?? ''
  }

  get newest(): number {
    return this.#digests.length - 1
  }

  get length(): number {
    return this.#digests.length - 1
  }

  add(entry: RecordedEntry): void {
    this.#time.advance(entry.timestampMs)
    const timeMs = this.#time.ms
    const result =
      entry.kind === 'command' ? this.#model?.apply(entry.payload, { index: entry.index, timeMs }) : undefined
    this.#results.push(result)
    this.#digests.push(this.#model?.digest(timeMs) ?? '')
  }

  resultAt(index: number): unknown {
    return this.#results[index]
  }

  digestAt(index: number): string | undefined {
    return this.#digests[index]
  }

  digestOf(machine: unknown): string {
    return this.#model?.digestOf(machine as never) ?? ''
  }
}
