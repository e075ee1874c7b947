const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const

/** A time for people, however long: "2.5 s", "3 minutes", "26 hours", "400 days". */
export function span(ms: number): string {
  const [unit, unitMs] = UNITS.find(([, unitMs]) => ms >= 2 * unitMs) ?? []
  if (unit === undefined || unitMs === undefined)
    return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
  return `${Math.round(ms / unitMs).toLocaleString('en')} ${unit}s`
}
