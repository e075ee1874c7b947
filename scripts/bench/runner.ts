import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** One run of ours and one of the baseline, one right after the other, in the same unit. */
export interface Pair<T = number> {
  readonly ours: T
  readonly baseline: T
}

/** A limit for the ratio (at most, or at least), or one that our value must stay below. */
export type Target =
  | { readonly ratioMax: number }
  | { readonly ratioMin: number }
  | { readonly valueBelow: number }

export interface Benchmark {
  /** `group/what`, or just `what`. */
  readonly name: string
  readonly unit: string
  /** The name of the baseline. */
  readonly baseline: string
  /** Default: none. Without a target it is measured for the record. */
  readonly target?: Target
  /**
   * Warm up, then measure some pairs.
   *
   * @param scale multiplies all sizes: 1, or less to try it out
   * @param pairs how many are wanted; a quick benchmark may measure more, one that cannot be repeated fewer
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
  /**
   * "≤ 2" and "≥ 0.9" are about the ratio, "< 100 bytes" about the value. Null for a result without a target.
   */
  readonly target: string | null
}

/** A result for people, with what is shown beside it. */
export interface Measured {
  readonly result: Result
  readonly pairs: readonly Pair[]
  readonly ratioMin: number
  readonly ratioMax: number
  /** Undefined if there is no target. */
  readonly met: boolean | undefined
}

export interface Runs {
  readonly warmUps: number
  readonly counted: number
  /**
   * The garbage that is collected before each pair: all of it, or only the young, for a heap that takes long.
   */
  readonly garbage: 'major' | 'minor'
}

export interface Contest<T> {
  /** Called before each pair, not timed. */
  readonly prepare?: () => void
  readonly ours: () => T | Promise<T>
  readonly baseline: () => T | Promise<T>
  /** Called after each pair, not timed. */
  readonly restore?: () => void
}

setFlagsFromString('--expose-gc')
/**
 * Collect garbage: all of it, or only the young. The flavor `last-resort` gives all free memory of the heap back
 * as well, which V8 otherwise does when the process has rested for eight seconds.
 */
export const collectGarbage: (of: {
  readonly type: Runs['garbage']
  readonly flavor?: 'last-resort'
}) => void = runInNewContext('gc')

/** Run both in turn, after collecting the garbage. Each is the first every other time. */
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

/** How many milliseconds some work takes. */
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

/** Share one measurement between the benchmarks that it yields. It is made for the first of them. */
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
