import type { JoinRecord } from './group.ts'

/** How many of the slowest joins are shown. */
const SHOWN = 10

/** The slowest joins, for people: their phases, and the events of each. */
export function formatSlowest(
  joins: readonly JoinRecord[],
  names: ReadonlyMap<string, string>,
  byMs: (join: JoinRecord) => number,
): string {
  const slowest = joins.toSorted((a, b) => byMs(b) - byMs(a)).slice(0, SHOWN)
  return slowest.flatMap((join) => [describe(join), ...timeline(join, names)]).join('\n')
}

/** How many joins fetched from each number of providers. */
export function formatProviders(joins: readonly JoinRecord[]): string {
  const counts = new Map<number, number>()
  for (const { report } of joins) {
    const used = report.providersUsed.length
    counts.set(used, (counts.get(used) ?? 0) + 1)
  }
  const sorted = [...counts].toSorted(([a], [b]) => a - b)
  return sorted.map(([used, count]) => `${used} in ${count}`).join(', ')
}

function describe({ report, wholeMs, pauseMs, anchorAgeMs, killedAfterMs }: JoinRecord): string {
  const { totalMs, replayMs, phasesMs, providersUsed, anchorsLost } = report
  const phases = Object.entries({ ...phasesMs, replay: replayMs }).map(
    ([name, ms]) => `${name} ${ms.toFixed(0)}`,
  )
  return [
    `catch-up ${totalMs.toFixed(0)} ms (${phases.join(', ')}), whole ${wholeMs.toFixed(0)} ms`,
    `providers ${providersUsed.length}`,
    ...(anchorsLost > 0 ? [`anchors lost ${anchorsLost}`] : []),
    anchorAgeMs === undefined ? 'captured for it' : `anchor ${anchorAgeMs.toFixed(0)} ms old`,
    `${pauseMs.toFixed(0)} ms after the one before`,
    ...(killedAfterMs === undefined ? [] : [`leader killed after ${killedAfterMs.toFixed(0)} ms`]),
  ].join('; ')
}

function timeline({ steps }: JoinRecord, names: ReadonlyMap<string, string>): string[] {
  return steps.map(({ afterMs, what }) => {
    let named = what
    for (const [id, name] of names) named = named.replaceAll(id, name)
    return `    ${afterMs.toFixed(0).padStart(6)}  ${named}`
  })
}
