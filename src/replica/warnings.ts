import { tellListener } from '../listener-warning.ts'
import { formatPosition } from '../position.ts'
import type { Clock } from '../time/clock.ts'
import type { ReplicaEvents } from './events.ts'

/** Takes what an operator should know. `console` is one, and so are most loggers. */
export interface Logger {
  /**
   * Take one warning: a text of one line, and the error that it is about if there is one. If it throws, that becomes a
   * process warning.
   */
  warn(message: string, error?: Error): void
}

export interface WarningsInit {
  readonly clock: Pick<Clock, 'wallNow'>
  /** This replica's PeerId, as text. */
  readonly self: string
  readonly groupName: string
  /** Undefined: standard error, for events that nobody listens for. False: nobody. */
  readonly logger: Logger | false | undefined
}

interface Warning {
  /** What is said once. */
  readonly key: string
  readonly text: string
  readonly error?: Error | undefined
}

/** Warnings that are remembered. Of more, the oldest count as new. */
const REMEMBERED_MAX = 256

/**
 * Warns of what an operator has to know, so that a replica without listeners is not mute: `problem`,
 * `disputed`, `divergence`, and the states `halted` and `lost`. Each is one line, and is said once.
 */
export class Warnings {
  readonly #init: WarningsInit
  readonly #told = new Set<string>()

  constructor(init: WarningsInit) {
    this.#init = init
  }

  /** @param heard whether the application listens for events of this type */
  happened<E extends keyof ReplicaEvents & string>(
    type: E,
    detail: ReplicaEvents[E]['detail'],
    heard: boolean,
  ): void {
    const { logger, self, groupName } = this.#init
    if (logger === false || (logger === undefined && heard)) return
    const warning = this.#warningOf(type, detail)
    if (warning === undefined || !this.#isNews(warning.key)) return
    const text = warning.text.replaceAll(/\s*[\r\n]+\s*/g, ' ')
    const message = `anchorage: replica ${self} of group ${JSON.stringify(groupName)}: ${text}`
    if (logger === undefined) return this.#write(message)
    tellListener(({ error }: Warning) => logger.warn(message, error), warning)
  }

  /** A stream that is closed is no error of `console`, as it would be of `process.stderr`. */
  #write(message: string): void {
    console.warn(`${new Date(this.#init.clock.wallNow()).toISOString()} ${message}`)
  }

  #warningOf<E extends keyof ReplicaEvents & string>(
    type: E,
    detail: ReplicaEvents[E]['detail'],
  ): Warning | undefined {
    switch (type) {
      case 'problem':
        return problemWarning(detail as ReplicaEvents['problem']['detail'])
      case 'state':
        return stateWarning(detail as ReplicaEvents['state']['detail'])
      case 'disputed':
        return disputeWarning(detail as ReplicaEvents['disputed']['detail'])
      case 'divergence':
        return divergenceWarning(detail as ReplicaEvents['divergence']['detail'], this.#init.self)
      default:
        return undefined
    }
  }

  #isNews(key: string): boolean {
    if (this.#told.has(key)) return false
    this.#told.add(key)
    for (const oldest of this.#told) {
      if (this.#told.size <= REMEMBERED_MAX) break
      this.#told.delete(oldest)
    }
    return true
  }
}

function problemWarning(error: Error): Warning {
  return {
    key: keyOf('problem', error),
    text: `${error.message} (${error.name}; the replica goes on)`,
    error,
  }
}

function stateWarning({ state, reason }: ReplicaEvents['state']['detail']): Warning | undefined {
  if (reason === undefined || (state !== 'halted' && state !== 'lost')) return undefined
  const outlook =
    state === 'halted'
      ? 'it applies nothing any more until it is restarted, and serves what it offers'
      : 'it answers no reads, and goes on looking for a state'
  return {
    key: keyOf(state, reason),
    text: `is ${state}: ${reason.message} (${reason.name}; ${outlook})`,
    error: reason,
  }
}

function disputeWarning({ anchor, roots }: ReplicaEvents['disputed']['detail']): Warning {
  const members = Array.from(roots, ([id, root]) => `${id} has ${hex(root)}`).join(', ')
  return {
    key: 'disputed',
    text: `the group does not agree on its state at ${formatPosition(anchor)}: ${members}; nobody installs that snapshot, so compare the versions of their programs, and check the machine with checkMachine() of anchorage/testing`,
  }
}

function divergenceWarning(
  { anchor, replica, root, sealed }: ReplicaEvents['divergence']['detail'],
  self: string,
): Warning {
  const whose = replica === self ? 'its root' : `the root of replica ${replica}`
  return {
    key: `divergence ${replica}`,
    text: `${whose} at ${formatPosition(anchor)} is ${hex(root)}, the group's ${hex(sealed)}; it fetches the group's state again, and if that does not last, compare the versions of the programs, and check the machine with checkMachine() of anchorage/testing`,
  }
}

/** A number in a message, such as a time or an attempt, makes it no other one. */
function keyOf(kind: string, { name, message }: Error): string {
  return `${kind} ${name}: ${message.replaceAll(/\d+/g, '#')}`
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
