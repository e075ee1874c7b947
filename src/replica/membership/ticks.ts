import { appendControl } from '../../group/control.ts'
import type { GroupState } from '../../group/group-state.ts'
import { PAUSE_MS_MAX } from '../../group/machine-time.ts'
import type { Log } from '../../log/log.ts'
import type { StateMachine } from '../../machine/machine.ts'
import type { Clock } from '../../time/clock.ts'
import { startTicker } from '../../time/ticker.ts'
import type { Applier } from '../following/applier.ts'
import type { Reporter } from '../reporter.ts'
import type { Status } from '../status.ts'

/**
 * How often a leader looks whether something in the machine is due while nobody writes, in milliseconds. A
 * key outlives its time by about this.
 */
const INTERVAL_MS = 1_000

export interface TicksInit {
  /** This replica's PeerId, as text. */
  readonly self: string
  readonly log: Pick<Log, 'append'>
  readonly clock: Clock
  readonly group: Pick<GroupState, 'leader' | 'term' | 'timeMs' | 'timeAt'>
  readonly status: Pick<Status, 'state'>
  readonly applier: Pick<Applier<unknown>, 'appliedAtMs'>
  readonly machine: Pick<StateMachine, 'dueMs'>
  readonly reporter: Pick<Reporter, 'problem'>
}

/** Entries that a leader writes to move machine time, where something is due and nobody writes. */
export class Ticks {
  readonly #init: TicksInit

  constructor(init: TicksInit) {
    this.#init = init
  }

  /** Look every second until the signal aborts. Nothing dies in a machine without `dueMs`. */
  start(signal: AbortSignal): void {
    const { clock, machine, reporter } = this.#init
    startTicker({
      clock,
      label: 'machine time',
      intervalMs: 'dueMs' in machine && INTERVAL_MS,
      run: () => this.#look(),
      onError: (error) => reporter.problem(error),
      signal,
    })
  }

  /**
   * What time it is tells the time since the newest entry was applied, and after a restart the wall clock.
   * Long before a pause is too long to count, a tick ends it.
   */
  async #look(): Promise<void> {
    const { self, log, clock, group, status, applier, machine } = this.#init
    const { dueMs } = machine
    if (dueMs === undefined || dueMs <= group.timeMs) return
    if (status.state !== 'in-sync' || group.leader !== self) return
    const pauseMs = clock.now() - applier.appliedAtMs
    const timeMs = Math.max(group.timeMs + pauseMs, group.timeAt(clock.wallNow()) ?? 0)
    if (dueMs > timeMs && pauseMs < PAUSE_MS_MAX / 2) return
    await appendControl(log, { type: 'tick', term: group.term })
  }
}
