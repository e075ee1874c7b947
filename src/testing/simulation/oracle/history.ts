import type { RecordedEntry } from '../log.ts'
import type { Workload } from '../workload.ts'
import { GroupModel } from './group-model.ts'
import { TIME_BEGINS, type Time, timeAfter } from './machine-time.ts'
import type { Model } from './model.ts'
import { ReplayModel } from './replay-model.ts'

/** What the log's entries come to, by models that are not the product's: after each of them. */
export class History {
  readonly #workload: Workload
  #model: Model<unknown>
  #time: Time = TIME_BEGINS
  #group = new GroupModel()
  #timesMs = [0]
  #digests: string[]
  #results: unknown[] = [undefined]

  constructor(workload: Workload) {
    this.#workload = workload
    this.#model = modelOf(workload)
    this.#digests = [this.#model.digest(0)]
  }

  /** The index of the newest entry. */
  get newest(): number {
    return this.#digests.length - 1
  }

  get group(): GroupModel {
    return this.#group
  }

  /** The log has one more entry. */
  add(entry: RecordedEntry): void {
    this.#time = timeAfter(this.#time, entry.timestampMs)
    const { timeMs } = this.#time
    const { index, kind, payload } = entry
    this.#results.push(kind === 'command' ? this.#model.apply(payload, { index, timeMs }) : undefined)
    if (kind === 'control') this.#group.apply(entry)
    this.#timesMs.push(timeMs)
    this.#digests.push(this.#model.digest(timeMs))
  }

  /** The log begins anew with these entries: it was put back, or is another one. */
  restart(entries: readonly RecordedEntry[]): void {
    this.#model = modelOf(this.#workload)
    this.#time = TIME_BEGINS
    this.#group = new GroupModel()
    this.#timesMs = [0]
    this.#digests = [this.#model.digest(0)]
    this.#results = [undefined]
    for (const entry of entries) this.add(entry)
  }

  /** What applying the entry returned. */
  resultAt(index: number): unknown {
    return this.#results[index]
  }

  /** Machine time after the entry. */
  timeMsAt(index: number): number | undefined {
    return this.#timesMs[index]
  }

  /** Of the state after the entry. */
  digestAt(index: number): string | undefined {
    return this.#digests[index]
  }

  /** Of a real machine that has applied the entry. */
  digestOf(machine: unknown, index: number): string {
    return this.#model.digestOf(machine, this.#timesMs[index] ?? 0)
  }

  /** How much there is to read in a real machine. */
  sizeOf(machine: unknown): number {
    return this.#model.sizeOf?.(machine) ?? 1
  }
}

function modelOf(workload: Workload): Model<unknown> {
  return (workload.model?.() ?? new ReplayModel(workload.machine())) as Model<unknown>
}
