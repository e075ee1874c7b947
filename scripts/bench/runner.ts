import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** One run of ours and one of what it is compared with, right after each other, in the same unit. */
export interface Pair<T = number> {
  readonly ours: T
  readonly baseline: T
}

/** What the ratio may be at most, or at least, or what our value must stay below. */
export type Target =
  | { readonly ratioMax: number }
  | { readonly ratioMin: number }
  | { readonly valueBelow: number }

export interface Benchmark {
  /** `group/what`, or just `what`. */
  readonly name: string
  readonly unit: string
  /** What ours is compared with. */
  readonly baseline: string
  /** Default: none, it is measured for the record. */
  readonly target?: Target
  /**
   * Warm up, then measure some pairs.
   *
   * @param scale multiplies all sizes: 1, or less to try it out
   * @param pairs how many are wanted; what is quick may measure more, and what cannot be repeated fewer
   */
  measure(scale: number, pairs: number): Promise<readonly Pair[]>
}

/** A benchmark's outcome, as printed for programs. */
export interface Result {
  readonly name: string
  /** Ours: the median of the runs. */
  readonly value: number
  readonly unit: string
  readonly baseline: string
  readonly baselineValue: number
  /** The median of the pairs' ratios. */
  readonly ratio: number
  /** "≤ 2" and "≥ 0.9" are about the ratio, "< 100 bytes" about the value; null: for the record. */
  readonly target: string | null
}

/** What people are told beside the result. */
export interface Measured {
  readonly result: Result
  readonly pairs: readonly Pair[]
  readonly ratioMin: number
  readonly ratioMax: number
  /** Undefined for what has no target. */
  readonly met: boolean | undefined
}

export interface Runs {
  readonly warmUps: number
  readonly counted: number
  /** What is collected before each pair: all garbage, or only the young, where the heap is so large that all takes long. */
  readonly garbage: 'major' | 'minor'
}

export interface Contest<T> {
  /** Before each pair, not timed. */
  readonly prepare?: () => void
  readonly ours: () => T | Promise<T>
  readonly baseline: () => T | Promise<T>
  /** After each pair, not timed. */
  readonly restore?: () => void
}

setFlagsFromString('--expose-gc')
/** Collect garbage: all of it, or only the young. */
export const collectGarbage: (of: { readonly type: Runs['garbage'] }) => void = runInNewContext('gc')

/** Run both in turn, each the first every other time, after the garbage is collected. */
export async function pairs<T>(
  { warmUps, counted, garbage }: Runs,
  { prepare, ours, baseline, restore }: Contest<T>,
): Promise<Pair<T>[]> {
  const measured: Pair<T>[] = []
  for (let run = 0; run < warmUps + counted; run++) {
    prepare?.()
    collectGarbage({ type: garbage })
    const early = run % 2 === 0 ? await ours() : undefined
    const pair = { baseline: await baseline(), ours: early ?? (await ours()) }
    if (run >= warmUps) measured.push(pair)
    restore?.()
  }
  return measured
}

export async function measure(benchmark: Benchmark, scale: number, pairCount: number): Promise<Measured> {
  const { name, unit, baseline, target } = benchmark
  const measured = await benchmark.measure(scale, pairCount)
  const ratios = measured.map((pair) => pair.ours / pair.baseline)
  const value = median(measured.map((pair) => pair.ours))
  const baselineValue = median(measured.map((pair) => pair.baseline))
  const ratio = median(ratios)
  return {
    result: { name, value, unit, baseline, baselineValue, ratio, target: formatTarget(target, unit) },
    pairs: measured,
    ratioMin: Math.min(...ratios),
    ratioMax: Math.max(...ratios),
    met: target && isMet(target, value, ratio),
  }
}

function isMet(target: Target, value: number, ratio: number): boolean {
  if ('ratioMax' in target) return ratio <= target.ratioMax
  if ('ratioMin' in target) return ratio >= target.ratioMin
  return value < target.valueBelow
}

/** Milliseconds that some work takes. */
export function timeMs(work: () => unknown): number {
  const startMs = performance.now()
  work()
  return performance.now() - startMs
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Benchmarks of which one measurement yields several share it: it is made for the first that asks. */
export function shared<T>(make: (scale: number, pairs: number) => T): (scale: number, pairs: number) => T {
  let made: { readonly value: T } | undefined
  return (scale, pairs) => {
    made ??= { value: make(scale, pairs) }
    return made.value
  }
}

export function formatTarget(target: Target | undefined, unit: string): string | null {
  if (target === undefined) return null
  if ('ratioMax' in target) return `≤ ${target.ratioMax}`
  return 'ratioMin' in target ? `≥ ${target.ratioMin}` : `< ${target.valueBelow} ${unit}`
}
