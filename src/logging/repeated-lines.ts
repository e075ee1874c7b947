import { tellListener } from '../listener-warning.ts'
import type { Clock, Timer } from '../time/clock.ts'
import type { LogLine, LogSink } from './line.ts'
import { printable } from './printable.ts'

/** A line that comes again is told again after these, in milliseconds: the last one from the third time on. */
const PAUSES_MS = [1_000, 10_000, 60_000] as const
/** A line that was not heard for so long is news again, in milliseconds. */
const QUIET_MS = 60_000
/** Lines that are remembered. Of more, the one that was heard least lately counts as new. */
const REMEMBERED_MAX = 256

export interface RepeatedLinesInit {
  readonly clock: Clock
  readonly sink: LogSink
}

interface Remembered {
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
 */
export class RepeatedLines {
  readonly #clock: Clock
  readonly #sink: LogSink
  /** By their keys. */
  readonly #remembered = new Map<string, Remembered>()

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
    const known = this.#known(key, nowMs)
    if (known === undefined) return this.#remember(key, line, nowMs)
    known.heardAtMs = nowMs
    known.newest = line
    known.count++
    add(known.totals, line)
    const leftMs = known.toldAtMs + pauseMs(known) - nowMs
    if (leftMs <= 0) this.#tellAgain(known)
    else known.timer ??= this.#clock.schedule(leftMs, () => this.#tellAgain(known))
  }

  #close(beginnings: readonly string[]): void {
    for (const [key, known] of this.#remembered) {
      if (known.count > 0 && beginnings.some((beginning) => key.startsWith(beginning))) this.#tellAgain(known)
    }
  }

  /** Tell what was counted, and forget it. */
  flush(): void {
    for (const key of this.#remembered.keys()) this.#forget(key)
  }

  /** What is remembered of a line that is no news. */
  #known(key: string, nowMs: number): Remembered | undefined {
    const known = this.#remembered.get(key)
    if (known === undefined) return undefined
    return known.count === 0 && nowMs - known.heardAtMs >= QUIET_MS ? undefined : known
  }

  #remember(key: string, line: LogLine, nowMs: number): void {
    const totals = { ...line.totals }
    const told = { toldAtMs: nowMs, heardAtMs: nowMs, again: 0, count: 0, newest: line }
    this.#remembered.set(key, { ...told, timer: undefined, totals })
    this.#write(line, totals)
    if (this.#remembered.size > REMEMBERED_MAX) this.#forget(this.#leastLately())
  }

  #leastLately(): string {
    const [first, ...others] = this.#remembered
    return others.reduce((least, each) => (each[1].heardAtMs < least[1].heardAtMs ? each : least), first!)[0]
  }

  #forget(key: string): void {
    const known = this.#remembered.get(key)
    this.#remembered.delete(key)
    if (known !== undefined && known.count > 0) this.#tellAgain(known)
  }

  #tellAgain(known: Remembered): void {
    known.timer?.cancel()
    const { newest, count, totals } = known
    Object.assign(known, { timer: undefined, count: 0, toldAtMs: this.#clock.now(), again: known.again + 1 })
    this.#write(newest, newest.totals === undefined ? { repeated: count } : totals)
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
