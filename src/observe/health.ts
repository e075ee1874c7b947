import type { ReplicaEvent } from '../replica/events.ts'
import type { Replica } from '../replica/replica.ts'
import type { SessionState } from '../sync/fetching/session-state.ts'
import { withoutPasswords } from '../without-passwords.ts'

/** An answer to a question about a replica's health. */
export interface Verdict {
  /** The answer: true is well. */
  readonly ok: boolean
  /** One line: the state, and the reason if the answer is no. */
  readonly text: string
}

/** The longest line, in characters. Messages of errors may quote peers. */
const TEXT_LENGTH_MAX = 1_000
/** How much of it is looked at, in characters. */
const READ_LENGTH_MAX = 4 * TEXT_LENGTH_MAX

/**
 * Whether a replica lives, and whether it can be read: for a service manager, and for what sends it requests.
 */
export class Health {
  readonly #replica: Pick<Replica, 'state' | 'failure' | 'position' | 'logConnected'>
  #session: SessionState | undefined
  /** The newest problem since the replica was last in sync. */
  #problem: Error | undefined

  constructor(replica: Pick<Replica, 'state' | 'failure' | 'position' | 'logConnected'>) {
    this.#replica = replica
  }

  /** False if only a restart, or an operator, can help: the replica has halted, or was stopped. */
  get alive(): Verdict {
    const { state } = this.#replica
    const ok = state !== 'halted' && state !== 'stopped'
    return { ok, text: ok ? state : this.#withReason(state) }
  }

  /** True while the replica is in sync: it follows the log at its end. */
  get ready(): Verdict {
    const { state } = this.#replica
    const ok = state === 'in-sync'
    return { ok, text: ok ? state : this.#withReason(state) }
  }

  /** An event of the replica. */
  happened({ type, detail }: ReplicaEvent): void {
    if (type === 'problem') this.#problem = detail
    if (type === 'state' && detail.state === 'in-sync') this.#problem = undefined
    if (type === 'sync' && detail.type === 'session') this.#session = detail.state
  }

  #withReason(state: Replica['state']): string {
    const problem = this.#problem === undefined ? '' : `; its newest problem: ${this.#problem.message}`
    const whole = `${state}: ${this.#reason(state)}${problem}`.slice(0, READ_LENGTH_MAX)
    const text = withoutPasswords(whole).replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ')
    return text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX)}…` : text
  }

  #reason(state: Replica['state']): string {
    const { failure, position, logConnected } = this.#replica
    switch (state) {
      case 'starting':
        return 'reads its checkpoints'
      case 'following':
        return logConnected
          ? `applies the log, and is at entry ${position.index}`
          : `the log's servers cannot be reached; it is at entry ${position.index}`
      case 'catching-up':
        return this.#progress
      case 'in-sync':
        return 'at the end of the log'
      case 'lost':
      case 'halted':
      case 'stopped':
        return failure?.message ?? 'for no reason that is known'
      default:
        return state satisfies never
    }
  }

  get #progress(): string {
    const session = this.#session
    switch (session?.status) {
      case 'choosing':
        return `takes the snapshot at entry ${session.anchor.index}`
      case 'fetching': {
        const { chunks, chunksTotal, providers } = session
        return `fetched ${chunks} of ${chunksTotal} chunks, from ${providers.length} provider${providers.length === 1 ? '' : 's'}`
      }
      case 'verifying':
        return 'waits for the group to agree on the snapshot, or for a provider'
      case 'installing':
      case 'done':
        return 'installs the snapshot'
      case 'requesting':
      case 'failed':
      case undefined:
        return 'asks the group for a snapshot'
      default:
        return session satisfies never
    }
  }
}
