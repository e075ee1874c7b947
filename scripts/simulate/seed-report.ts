import type { Done } from './pool.ts'

/** A progress line is written at most this often, in milliseconds. */
const PROGRESS_MS = 1_000

/** What came of many seeds: a line while they run, and a report at the end. */
export class SeedReport {
  readonly failures: Done[] = []
  readonly #out: NodeJS.WriteStream
  readonly #beganMs = Date.now()
  readonly #byWorkload = new Map<string, { seeds: number; tookMs: number }>()
  readonly #joinsMs: number[] = []
  #seeds = 0
  #entries = 0
  #virtualMs = 0
  #saidMs = 0

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  add(done: Done): void {
    this.#seeds++
    this.#entries += done.entries
    this.#virtualMs += done.virtualMs
    this.#joinsMs.push(...done.joinsMs)
    const workload = this.#byWorkload.get(done.workload) ?? { seeds: 0, tookMs: 0 }
    workload.seeds++
    workload.tookMs += done.tookMs
    this.#byWorkload.set(done.workload, workload)
    if (done.failure !== undefined) {
      this.failures.push(done)
      this.#out.write(`\n${done.failure.message}\n`)
    }
    if (Date.now() - this.#saidMs < PROGRESS_MS) return
    this.#saidMs = Date.now()
    this.#out.write(`${this.#out.isTTY ? '\r' : ''}${this.#line}${this.#out.isTTY ? '' : '\n'}`)
  }

  /** Catch-ups by snapshot so far. */
  get joins(): number {
    return this.#joinsMs.length
  }

  get text(): string {
    const joins = this.#joinsMs.sort((a, b) => a - b)
    const at = (part: number) =>
      Math.round(joins[Math.min(joins.length - 1, Math.floor(joins.length * part))] ?? 0)
    return [
      this.#line,
      ...[...this.#byWorkload].map(
        ([name, { seeds, tookMs }]) => `  ${name}: ${seeds} seeds, ${Math.round(tookMs / seeds)} ms each`,
      ),
      `  ${joins.length} catch-ups by snapshot, in virtual time: median ${at(0.5)} ms, p90 ${at(0.9)} ms, p99 ${at(0.99)} ms, p99.9 ${at(0.999)} ms, longest ${at(1)} ms`,
      ...this.failures.map(
        ({ seed, workload, failure }) => `  seed ${seed} (${workload}): ${failure?.promise}`,
      ),
    ].join('\n')
  }

  get #line(): string {
    const minutes = (Date.now() - this.#beganMs) / 60_000
    const perMinute = Math.round(this.#seeds / minutes)
    const days = (this.#virtualMs / 86_400_000).toFixed(2)
    return `${this.#seeds} seeds in ${minutes.toFixed(1)} minutes (${perMinute} a minute), ${this.#entries} entries, ${days} days of virtual time, ${this.failures.length} failed`
  }
}
