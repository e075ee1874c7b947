import type { Broken } from './verdicts.ts'

/** How long something took, in milliseconds, over all times that it happened. */
export interface Times {
  readonly count: number
  readonly medianMs: number
  readonly p99Ms: number
  readonly maxMs: number
}

/** What a run was, and what came of it. */
export interface ChaosReport {
  readonly seed: number
  readonly log: string
  readonly replicas: number
  readonly rounds: number
  readonly tookMs: number
  readonly faults: Readonly<Record<string, number>>
  readonly writes: { readonly acknowledged: number; readonly errors: Readonly<Record<string, number>> }
  /** From lag to in sync, of each joiner. */
  readonly catchUps: Times
  /** From the end of a round's faults to everybody in sync. */
  readonly settling: Times
  readonly length: { readonly entries: number; readonly largest: number }
  readonly markersAMinute: number
  readonly largestRssBytes: number
  /** What replicas told of, by code. */
  readonly problems: Readonly<Record<string, number>>
  /** What could not be tried on this machine. */
  readonly leftOut: readonly string[]
  readonly broken: readonly Broken[]
  readonly brokenCount: number
}

const MIB = 1024 * 1024

export function timesOf(times: readonly number[]): Times {
  const sorted = times.toSorted((a, b) => a - b)
  const at = (share: number) => Math.round(sorted[Math.ceil(share * sorted.length) - 1] ?? 0)
  return { count: sorted.length, medianMs: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

/** The report for people. */
export function reportText(report: ChaosReport): string {
  const { seed, log, replicas, rounds, tookMs, faults, writes, catchUps, settling } = report
  const lines = [
    [
      'run',
      `${rounds} rounds in ${Math.round(tookMs / 1_000)} s, ${replicas} replicas on ${log}, seed ${seed}`,
    ],
    ['faults', countsText(faults)],
    ...report.leftOut.map((what) => ['left out', what]),
    [
      'writes',
      `${writes.acknowledged} acknowledged; without an acknowledgement: ${countsText(writes.errors)}`,
    ],
    ['catch-ups', timesText(catchUps)],
    ['settling', timesText(settling)],
    [
      'log',
      `${report.length.entries} entries were written, and at most ${report.length.largest} kept after a round`,
    ],
    ['markers', `at most ${report.markersAMinute} a minute`],
    ['memory', `at most ${Math.round(report.largestRssBytes / MIB)} MiB in one process`],
    ['told', countsText(report.problems)],
    ['broken', report.brokenCount === 0 ? 'no promise' : `${report.brokenCount} promises`],
  ]
  const summary = lines.map(([name, text]) => `${name!.padEnd(10)} ${text}`)
  return `${[...summary, ...report.broken.map(brokenText)].join('\n')}\n`
}

function brokenText({ promise, message, round, timeline }: Broken): string {
  return [`\nBROKEN in round ${round}: ${promise}: ${message}`, ...timeline.map((line) => `  ${line}`)].join(
    '\n',
  )
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts)
  if (entries.length === 0) return 'none'
  const sum = entries.reduce((sum, [, count]) => sum + count, 0)
  return `${sum}: ${entries.map(([name, count]) => `${name} ${count}`).join(', ')}`
}

function timesText({ count, medianMs, p99Ms, maxMs }: Times): string {
  if (count === 0) return 'none'
  return `${count}: median ${medianMs} ms, p99 ${p99Ms} ms, at most ${maxMs} ms`
}
