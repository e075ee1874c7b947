import { setTimeout as delay } from 'node:timers/promises'
import { Membership } from '../../group/membership.ts'
import { LogTruncated } from '../../log/errors.ts'
import type { Log, LogEntry } from '../../log/log.ts'
import { asError } from '../../thrown.ts'
import { systemClock } from '../../time/clock.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'
import { EventLine } from '../events/event-line.ts'
import { type GroupEvent, type GroupEventType, MEMBER_EVENTS } from '../events/group-event.ts'
import { LogEvents } from '../events/log-events.ts'
import { MemberEvents } from '../events/member-events.ts'
import { existingLog, withAnyLog } from '../log/open-log.ts'
import { count, type Output } from '../output.ts'

export interface EventsOptions {
  /** Go on with what happens, until Ctrl-C, and tell of members too. */
  readonly follow?: boolean
  /** The first entry to tell of, or only what happens from now on. Default: the first in the log. */
  readonly since?: number | 'now'
  /** Default: all. */
  readonly type?: readonly GroupEventType[]
}

/**
 * How many entries are read before the first that is told of. They say who leads, and which anchors await their seals.
 */
const LOOKBACK = 10_000
/** How long members have to announce themselves once the log's servers can be reached again: a lease or more. */
const GRACE_MS = 15_000
/** Pause before the members are looked at again after an error, in milliseconds. */
const RETRY_MS = 1_000

/** Tell what happens in the group. No replica is asked, and none is started. */
export async function events(context: Context, options: EventsOptions): Promise<number> {
  const members = options.type?.filter((type) => (MEMBER_EVENTS as readonly string[]).includes(type)) ?? []
  if (members.length > 0 && !options.follow)
    throw new UsageError(`the log holds no ${members.join(', ')}, which members announce: add --follow`)
  return await withAnyLog(context, existingLog(context), async (log) => {
    const { output, signal } = context
    const { first, newest } = await log.bounds({ signal })
    const since = options.since === 'now' ? newest.index + 1 : (options.since ?? 1)
    if (since < first)
      output.note(`the log begins with entry ${count(first)}: what happened before was pruned with it`)
    const teller = new Teller(output, since, options.type)
    const stream = new EventStream(log, teller)
    await stream.readTo(newest.index, Math.max(first, since - LOOKBACK), signal)
    if (options.follow) await stream.follow(signal)
    else if (!teller.hasTold) output.note('the log holds no such event')
    return EXIT.ok
  })
}

/** Prints the events that are wanted. */
class Teller {
  readonly #output: Output
  readonly #line: EventLine
  readonly #since: number
  readonly #types: ReadonlySet<GroupEventType> | undefined
  hasTold = false

  constructor(output: Output, since: number, types: readonly GroupEventType[] | undefined) {
    this.#output = output
    this.#line = new EventLine(output)
    this.#since = since
    this.#types = types && new Set(types)
  }

  tell(events: readonly GroupEvent[]): void {
    for (const event of events) {
      if (event.index !== null && event.index < this.#since) continue
      if (this.#types?.has(event.event) === false) continue
      this.hasTold = true
      this.#output.result(event, this.#output.json ? '' : this.#line.tell(event))
    }
  }

  note(text: string): void {
    this.#output.note(text)
  }

  /** A reader that is slower than the group holds the reading up, and no memory is used for what it has not taken. */
  async taken(): Promise<void> {
    await this.#output.drained()
  }
}

/** A group's events in their order: those of its log, and those of its members while it follows. */
class EventStream {
  readonly #log: Log
  readonly #teller: Teller
  #events: LogEvents
  #read = 0

  constructor(log: Log, teller: Teller) {
    this.#log = log
    this.#teller = teller
    this.#events = new LogEvents(log, 1)
  }

  /** Tell what the log holds from an entry on, to its end. */
  async readTo(newest: number, from: number, signal: AbortSignal): Promise<void> {
    this.#begin(from)
    while (this.#read < newest) {
      try {
        for await (const { entries } of this.#log.read({ index: this.#read }, { signal }))
          await this.#take(entries)
        break
      } catch (error) {
        this.#skipPruned(error)
      }
    }
    signal.throwIfAborted()
  }

  /** Tell what happens from here on. It ends with an error, at the latest with that of the signal. */
  async follow(signal: AbortSignal): Promise<void> {
    const failed = new AbortController()
    const ends = AbortSignal.any([signal, failed.signal])
    const members = this.#followMembers(ends)
    try {
      await this.#followLog(ends)
    } finally {
      failed.abort(new Error('the log is not followed any more'))
      await members
    }
    signal.throwIfAborted()
  }

  async #followLog(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const { entries } of this.#log.follow({ index: this.#read }, { signal }))
          await this.#take(entries)
      } catch (error) {
        this.#skipPruned(error)
      }
    }
  }

  async #followMembers(signal: AbortSignal): Promise<void> {
    const membership = new Membership({
      log: this.#log,
      clock: systemClock,
      epoch: this.#log.epoch,
      graceMs: GRACE_MS,
    })
    const events = new MemberEvents()
    const look = () => this.#teller.tell(events.look(membership.list(), systemClock.now(), Date.now()))
    membership.listen({ membersChanged: look })
    const off = this.#log.connection?.onChange((connected) => {
      if (connected) membership.reconnected()
      this.#teller.note(connected ? "the log's servers are there again" : "lost the log's servers")
    })
    while (!signal.aborted) {
      try {
        await membership.run(signal)
      } catch (error) {
        if (signal.aborted) break
        this.#teller.note(`the members cannot be read: ${asError(error).message}; trying again`)
        await delay(RETRY_MS, undefined, { signal }).catch(() => {})
      }
    }
    off?.()
  }

  async #take(entries: readonly LogEntry[]): Promise<void> {
    for (const entry of entries) {
      this.#teller.tell(this.#events.take(entry))
      this.#read = entry.index
    }
    await this.#teller.taken()
  }

  #skipPruned(error: unknown): void {
    if (!(error instanceof LogTruncated)) throw error
    const { wanted, first } = error
    const lost = first - wanted
    const what =
      lost === 1 ? `entry ${count(wanted)} was` : `entries ${count(wanted)} to ${count(first - 1)} were`
    this.#teller.note(`${what} pruned before anybody read here`)
    this.#begin(first)
  }

  #begin(from: number): void {
    this.#events = new LogEvents(this.#log, from)
    this.#read = from - 1
  }
}
