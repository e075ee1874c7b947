import type { LogSink } from '../../logging/line.ts'
import { RepeatedLines } from '../../logging/repeated-lines.ts'
import type { Clock } from '../../time/clock.ts'
import type { ReplicaEvent } from '../events.ts'
import { replicaLine } from './replica-lines.ts'

export interface ReplicaLogInit {
  readonly clock: Clock
  readonly sink: LogSink
  /** This replica's PeerId. */
  readonly self: string
}

/** The log of a replica: a line for each of its events that is worth one. */
export class ReplicaLog {
  readonly #lines: RepeatedLines
  readonly #self: string

  constructor({ self, ...init }: ReplicaLogInit) {
    this.#lines = new RepeatedLines(init)
    this.#self = self
  }

  happened(event: ReplicaEvent): void {
    if (!this.#lines.enabled) return
    const line = replicaLine(event, this.#self)
    if (line !== undefined) this.#lines.take(line)
    if (event.type === 'state' && event.detail.state === 'stopped') this.flush()
  }

  /** Tell what was counted so far. */
  flush(): void {
    this.#lines.flush()
  }
}
