import { tellListener } from '../listener-warning.ts'
import type { Clock, Timer } from '../time/clock.ts'
import type { LogLine, LogSink } from './line.ts'
import { printable } from './printable.ts'

/** A line that comes again is told again after these, in milliseconds: the last one from the third time on. */
const PAUSES_MS = [1_000, 10_000, 60_000] as const
/** A line that was not heard for so long is news again, in milliseconds. */
const QUIET_MS = 60_000
/** Keys of one kind of line that are counted each. Those beyond are counted together: peers make ids at will. */
const KEYS_OF_A_KIND_MAX = 32
/** Keys of all kinds. When there are so many, a new one is counted with all of its event. */
const KEYS_MAX = 256
/** What is read of a key, in UTF-16 code units: there may be a peer's text in it. */
const KEY_LENGTH_MAX = 300

export interface RepeatedLinesInit {
  readonly clock: Clock
  readonly sink: LogSink
}

interface Remembered {
  readonly kind: string
  /** It stands for all lines of its kind that have no place of their own. */
  readonly shared: boolean
  toldAtMs: number
  heardAtMs: number
  /** Times it was told again. */
  again: number
  /** Those that were not told since, the newest of them, and what tells it when the pause is over. */
  count: number
  newest: LogLine
  timer: Timer | undefined
  readonly totals: Record<string, number>
}

/**
 * Tells lines to a sink. One that repeats is counted, and told again with its count after a pause that grows. So
 * what goes on for ever is a line a minute, and its last one is told, too.
 *
 * Lines of one event, level and error are of one kind. When a kind has too many keys, its further ones are counted as
 * one: the newest of them is told, with their number as `others`. So however many peers fail, and whatever they say,
 * a kind is at most 99 lines in its first 11 seconds, and then 33 a minute.
 */
export class RepeatedLines {
  readonly #clock: Clock
  readonly #sink: LogSink
  /** By their keys, the one first that was heard least lately. */
  readonly #remembered = new Map<string, Remembered>()
  /** How many keys of each kind are counted each. */
  readonly #keys = new Map<string, number>()

  constructor({ clock, sink }: RepeatedLinesInit) {
    this.#clock = clock
    this.#sink = sink
  }

  /** False: lines need not be made. */
  get enabled(): boolean {
    return this.#sink.enabled
  }

  take(line: LogLine): void {
    if (!this.#sink.shows(line)) return
    const { key, closes } = line
    if (closes !== undefined) this.#close(closes)
    if (key === undefined) return this.#write(line, line.totals)
    const nowMs = this.#clock.now()
    this.#forgetQuiet(nowMs)
    const own = key.slice(0, KEY_LENGTH_MAX)
    if (this.#remembered.has(own)) return this.#again(own, line, nowMs)
    const event = `${line.component} ${line.level} ${line.fields.event}`
    const kind = `${event} ${line.fields.err?.type}`.slice(0, KEY_LENGTH_MAX)
    const room = this.#remembered.size < KEYS_MAX
    if (room && (this.#keys.get(kind) ?? 0) < KEYS_OF_A_KIND_MAX)
      return this.#remember(own, line, { kind, shared: false, nowMs })
    // No key of a line begins so. Events are as many as this package has; errors of others may have any name.
    const all = room || this.#remembered.has(`* ${kind}`) ? `* ${kind}` : `* ${event}`
    if (this.#remembered.has(all)) this.#again(all, line, nowMs)
    else this.#remember(all, line, { kind, shared: true, nowMs })
  }

  #again(key: string, line: LogLine, nowMs: number): void {
    const known = this.#remembered.get(key)!
    this.#remembered.delete(key)
    this.#remembered.set(key, known)
    known.heardAtMs = nowMs
    known.newest = line
    known.count++
    add(known.totals, line)
    const leftMs = known.toldAtMs + pauseMs(known) - nowMs
    if (leftMs <= 0) this.#tellAgain(known)
    else known.timer ??= this.#clock.schedule(leftMs, () => this.#tellAgain(known))
  }

  #close(beginnings: readonly string[]): void {
    for (const known of this.#remembered.values()) {
      const { key = '' } = known.newest
      if (known.count > 0 && beginnings.some((beginning) => key.startsWith(beginning))) this.#tellAgain(known)
    }
  }

  /** Tell what was counted, and forget it. */
  flush(): void {
    for (const key of this.#remembered.keys()) this.#forget(key)
  }

  #remember(
    key: string,
    line: LogLine,
    { kind, shared, nowMs }: { kind: string; shared: boolean; nowMs: number },
  ): void {
    const totals = { ...line.totals }
    const told = { toldAtMs: nowMs, heardAtMs: nowMs, again: 0, count: 0, newest: line }
    this.#remembered.set(key, { ...told, kind, shared, timer: undefined, totals })
    if (!shared) this.#keys.set(kind, (this.#keys.get(kind) ?? 0) + 1)
    this.#write(line, totals)
  }

  /** One that comes again after it was quiet is news. */
  #forgetQuiet(nowMs: number): void {
    for (const [key, { heardAtMs }] of this.#remembered) {
      if (nowMs - heardAtMs < QUIET_MS) return
      this.#forget(key)
    }
  }

  #forget(key: string): void {
    const known = this.#remembered.get(key)!
    this.#remembered.delete(key)
    if (!known.shared) {
      const left = this.#keys.get(known.kind)! - 1
      if (left > 0) this.#keys.set(known.kind, left)
      else this.#keys.delete(known.kind)
    }
    if (known.count > 0) this.#tellAgain(known)
  }

  #tellAgain(known: Remembered): void {
    known.timer?.cancel()
    const { newest, count, totals, shared } = known
    Object.assign(known, { timer: undefined, count: 0, toldAtMs: this.#clock.now(), again: known.again + 1 })
    const amounts = newest.totals === undefined && !shared ? { repeated: count } : totals
    this.#write(newest, shared ? { ...amounts, others: count } : amounts)
  }

  #write(line: LogLine, amounts: Readonly<Record<string, number>> = {}): void {
    const told = printable({ ...line, fields: { ...line.fields, ...amounts } })
    // Also where a timer tells it, a logger that throws harms nobody.
    tellListener((each: LogLine) => this.#sink.write(each), told)
  }
}

function pauseMs({ again }: Remembered): number {
  return PAUSES_MS[Math.min(again, PAUSES_MS.length - 1)]!
}

function add(totals: Record<string, number>, line: LogLine): void {
  for (const name in line.totals) totals[name] = (totals[name] ?? 0) + line.totals[name]!
}
