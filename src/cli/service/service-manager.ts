import { Health } from '../../observe/health.ts'
import type { ObservableReplica } from '../../observe/observable-replica.ts'
import type { Clock } from '../../time/clock.ts'
import { Ticker } from '../../time/ticker.ts'
import { NotifierMissing } from './systemd-notify.ts'

/** A message is a process: so often at most, in milliseconds, except for the first and those that begin or end. */
const INTERVAL_MS = 5_000
/** Nor so soon after one that did not arrive. */
const RETRY_MS = 60_000
/**
 * A start that gets on may take so much longer, in milliseconds, each time that it does. The longest steps without a
 * sign are that others cut a large snapshot, and that this replica installs it.
 */
const EXTENSION_MS = 15 * 60_000

export interface ServiceManagerInit {
  readonly clock: Clock
  /** Takes a message to it. */
  readonly send: (assignments: readonly string[]) => Promise<void>
  /** Told once, of the first message that did not arrive. */
  readonly note: (text: string) => void
}

type Followed = Pick<
  ObservableReplica,
  'state' | 'failure' | 'position' | 'logConnected' | 'catchUp' | 'observe'
>

/**
 * A service manager that started this process and wants to know how it is, as systemd does with `Type=notify`. The
 * service is ready when the replica was in sync for the first time. What it cannot be told never holds the replica up.
 *
 * @example
 * ```ts
 * using manager = new ServiceManager({ clock, send, note })
 * manager.follow(await createReplica({ ... }))
 * ```
 */
export class ServiceManager implements Disposable {
  readonly #init: ServiceManagerInit
  readonly #ticker: Ticker
  #replica: Followed | undefined
  #health: Health | undefined
  #wasInSync = false
  #stops = false
  /** What it has been told. */
  #told = { text: '', mark: '' }
  #quietUntilMs = 0
  #failed = false
  #endObserving: (() => void) | undefined

  /** It is told at once that the service starts. */
  constructor(init: ServiceManagerInit) {
    this.#init = init
    this.#ticker = new Ticker({
      clock: init.clock,
      label: 'telling the service manager',
      intervalMs: INTERVAL_MS,
      run: () => this.#tell(),
    })
    this.#ticker.soon()
  }

  /** From now on it is told how this replica is. */
  follow(replica: Followed): void {
    const health = new Health(replica)
    this.#replica = replica
    this.#health = health
    this.#endObserving = replica.observe((event) => {
      health.happened(event)
      if (event.type === 'state') this.#noticeSync()
    })
    this.#noticeSync()
  }

  /** The replica stops. Told without waiting; it is the last message. */
  stopping(): void {
    this.#stops = true
    this.#ticker.soon()
  }

  [Symbol.dispose](): void {
    this.#endObserving?.()
    // A message about the end is on its way, or will be as soon as the one before it is.
    if (!this.#stops) void this.#ticker.stop()
  }

  #noticeSync(): void {
    if (this.#wasInSync || this.#replica?.state !== 'in-sync') return
    this.#wasInSync = true
    this.#quietUntilMs = 0
    this.#ticker.soon()
  }

  async #tell(): Promise<void> {
    const stops = this.#stops
    if (!stops && this.#init.clock.now() < this.#quietUntilMs) return
    const text = this.#text()
    const mark = this.#mark()
    const getsOn = mark !== this.#told.mark
    if (text === this.#told.text && !getsOn) return
    try {
      await this.#init.send([
        // Again each time: one may not have arrived, and two do no harm.
        ...(this.#wasInSync ? ['READY=1'] : []),
        ...(getsOn && !this.#wasInSync && !stops ? [`EXTEND_TIMEOUT_USEC=${EXTENSION_MS * 1_000}`] : []),
        ...(stops ? ['STOPPING=1'] : []),
        `STATUS=${text}`,
      ])
      this.#told = { text, mark }
    } catch (error) {
      this.#missed(error)
    }
    if (stops) void this.#ticker.stop()
  }

  #text(): string {
    if (this.#stops && this.#replica?.state !== 'halted') return 'stopping'
    return this.#health?.ready.text ?? 'starting'
  }

  /** What is another one when the start got on. A catch-up that has no chunk yet may wait in vain. */
  #mark(): string {
    if (this.#stops) return 'stops'
    if (this.#wasInSync) return 'started'
    if (this.#replica === undefined) return 'starting'
    const { position, catchUp } = this.#replica
    const got = catchUp === undefined || catchUp.chunks === 0 ? '' : `${catchUp.phase} ${catchUp.chunks}`
    return `${position.index} ${got}`
  }

  #missed(error: unknown): void {
    this.#quietUntilMs = this.#init.clock.now() + RETRY_MS
    const { message } = error as Error
    const isMissing = error instanceof NotifierMissing
    if (isMissing) void this.#ticker.stop()
    // Systemd ends all processes of the service together, this message's as well.
    if (this.#failed || this.#stops) return
    this.#failed = true
    this.#init.note(
      isMissing
        ? `the service manager is told nothing, since there is no systemd-notify here (${message}): install it, or a service of Type=notify will never be active`
        : `the service manager did not take a message, and gets it again: ${message}`,
    )
  }
}
