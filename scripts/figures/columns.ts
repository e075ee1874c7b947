import { median } from '../bench/runner.ts'
import type { Join, Measured } from './results.ts'

export const BYTES_IN_MB = 1_000_000

/** The columns, in the table and in the chart. */
export const COLUMNS = [
  { title: 'in sync after', unit: 's', of: ({ tookMs }: Join) => tookMs / 1_000 },
  { title: 'of that, loading', unit: 's', of: ({ loadedMs }: Join) => loadedMs / 1_000 },
  {
    title: 'bytes moved',
    unit: 'MB',
    of: ({ bytes }: Join) => (bytes === null ? null : bytes / BYTES_IN_MB),
  },
  { title: 'its memory', unit: 'MiB', of: ({ peakMiB }: Join) => peakMiB },
  { title: 'its CPU', unit: 's', of: ({ newcomerCpuMs }: Join) => newcomerCpuMs / 1_000 },
  { title: "providers' CPU", unit: 's', of: ({ providersCpuMs }: Join) => providersCpuMs / 1_000 },
] as const

/** Median, least and greatest. Null for what was not counted. */
export function summary({ joins }: Measured, of: (join: Join) => number | null) {
  const values = joins.map(of).filter((value) => value !== null)
  if (values.length === 0) return null
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) }
}
