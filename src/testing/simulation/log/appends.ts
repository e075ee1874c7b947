import { AppendUncertain, LogBusy, LogClosed, LogRefused, LogUnavailable } from '../../../log/errors.ts'
import type { Appended, NewEntry, SignalOptions } from '../../../log/log.ts'
import { asError } from '../../../thrown.ts'
import type { Timer } from '../../../time/clock.ts'
import type { Refusal } from './append-faults.ts'
import { type Line, LOCK_MS } from './line.ts'
import type { LogServer, Writer } from './server.ts'

/** How long an append without an answer is repeated, in milliseconds, as on JetStream. */
const REPEAT_MS = 60_000
/** How long `close()` waits for what is under way, in milliseconds, as on JetStream. */
const CLOSE_MS = 5_000

interface Append {
  readonly entries: readonly NewEntry[]
  readonly resolve: (appended: Appended) => void
  readonly reject: (error: unknown) => void
  /** It may be in the log. */
  isSent: boolean
  isSettled: boolean
  /** Where it is. The log knows it again when it comes once more. */
  committed: Appended | undefined
  timer: Timer | undefined
}

/**
 * The appends of one handle. They get to the log in the order of the calls. What has no answer is sent again
 * when the log can be reached again, and is in the log once.
 */
export class Appends {
  readonly #server: LogServer
  readonly #line: Line
  readonly #writer: Writer
  readonly #under = new Set<Append>()
  /** Those that nobody answers, in the order in which that was found. */
  #stalled: Append[] = []
  #settled: (() => void) | undefined

  constructor(server: LogServer, line: Line, writer: Writer) {
    this.#server = server
    this.#line = line
    this.#writer = writer
    line.onFound(() => this.#sendAgain())
  }

  append(entries: readonly NewEntry[], { signal }: SignalOptions = {}): Promise<Appended> {
    const { promise, resolve, reject } = Promise.withResolvers<Appended>()
    const append: Append = {
      entries,
      resolve,
      reject,
      isSent: false,
      isSettled: false,
      committed: undefined,
      timer: undefined,
    }
    this.#under.add(append)
    this.#send(append)
    return signal === undefined || append.isSettled ? promise : this.#untilAborted(append, promise, signal)
  }

  /** Resolves when every append has settled. After a while the rest is given up. */
  async close(): Promise<void> {
    if (this.#under.size > 0 && this.#line.isOpenFor('write')) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#settled = resolve
      const timer = this.#line.life.schedule(CLOSE_MS, resolve)
      await promise
      timer.cancel()
    }
    for (const append of this.#under) this.#fail(append, new LogClosed())
  }

  async #untilAborted(append: Append, promise: Promise<Appended>, signal: AbortSignal): Promise<Appended> {
    const abort = () => this.#fail(append, signal.reason)
    signal.addEventListener('abort', abort)
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', abort)
    }
  }

  #send(append: Append): void {
    const line = this.#line
    if (!line.isOpenFor('write') && (line.isLocal || !line.connected)) return this.#stall(append)
    append.isSent = true
    line.carry(() => this.#arrived(append))
  }

  #arrived(append: Append): void {
    const line = this.#line
    if (!line.isOpenFor('write')) return this.#stall(append)
    const { committed, entries } = append
    if (committed !== undefined) return this.#answer(append, () => this.#acknowledged(append, committed))
    const { fate, afterMs } = this.#server.faults.rule({ life: line.life, node: line.node, entries })
    if (fate !== 'pass') this.#server.world.note('log', `an append of ${line.life.name}: ${fate}`)
    switch (fate) {
      case 'pass':
      case 'lose-ack':
        return this.#commit(append, entries, fate === 'pass', afterMs)
      case 'tear':
        return this.#commit(append, entries.slice(0, Math.ceil(entries.length / 2)), false, afterMs)
      case 'lose-request':
        append.isSent = true
        return this.#answer(append, () => this.#fail(append, noAnswer()), afterMs)
      case 'busy':
      case 'unavailable':
      case 'refused':
        append.isSent = false
        return this.#answer(append, () => this.#fail(append, refusal(fate, afterMs)), afterMs)
      default:
        return fate satisfies never
    }
  }

  #commit(append: Append, entries: readonly NewEntry[], isAcknowledged: boolean, afterMs: number): void {
    let committed: Appended
    try {
      committed = this.#server.commit(this.#writer, entries)
    } catch (error) {
      append.isSent = false
      return this.#answer(append, () => this.#fail(append, error))
    }
    append.isSent = true
    append.committed = committed
    if (isAcknowledged) this.#answer(append, () => this.#acknowledged(append, committed))
    else this.#answer(append, () => this.#fail(append, noAnswer()), afterMs)
  }

  #answer(append: Append, take: () => void, afterMs = 0): void {
    const line = this.#line
    if (afterMs > 0) line.life.schedule(afterMs, take)
    else line.answer(() => (line.isLocal || line.isOpenFor('write') ? take() : this.#stall(append)))
  }

  /** Nobody answers. */
  #stall(append: Append): void {
    if (append.isSettled) return
    this.#stalled.push(append)
    const ms = this.#line.isLocal ? LOCK_MS : REPEAT_MS
    append.timer ??= this.#line.life.schedule(ms, () => this.#fail(append, this.#line.late(ms)))
  }

  #sendAgain(): void {
    if (!this.#line.isOpenFor('write')) return
    const again = this.#stalled
    this.#stalled = []
    for (const append of again) if (!append.isSettled) this.#send(append)
  }

  #acknowledged(append: Append, appended: Appended): void {
    if (append.isSettled) return
    this.#settle(append)
    this.#server.acknowledged(this.#writer, appended)
    const { firstId: _, ...local } = appended
    append.resolve(this.#line.isLocal ? local : appended)
  }

  #fail(append: Append, error: unknown): void {
    if (append.isSettled) return
    this.#settle(append)
    // A transaction that did not get the lock has written nothing.
    const isSure = !append.isSent || error instanceof LogBusy
    if (isSure || error instanceof AppendUncertain) append.reject(error)
    else {
      const why = `an append failed on its way: ${asError(error).message}`
      append.reject(new AppendUncertain(why, { cause: error }))
    }
  }

  #settle(append: Append): void {
    append.isSettled = true
    append.timer?.cancel()
    this.#under.delete(append)
    if (this.#under.size === 0) this.#settled?.()
  }
}

function noAnswer(): AppendUncertain {
  return new AppendUncertain('no answer came')
}

function refusal(kind: Refusal, waitedMs: number): Error {
  switch (kind) {
    case 'busy':
      return new LogBusy(waitedMs)
    case 'unavailable':
      return new LogUnavailable('there is no leader')
    case 'refused':
      return new LogRefused("the log's servers refuse an entry: they were told to")
    default:
      return kind satisfies never
  }
}
