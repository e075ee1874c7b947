import { type Benchmark, formatTarget, type Measured } from './runner.ts'

/** A table of results for people. */
export function formatTable(measured: readonly Measured[]): string {
  const head = ['benchmark', 'ours', 'baseline', 'ratio', 'spread', 'target', '', 'compared with']
  const rows = measured.map(({ result, ratioMin, ratioMax, met }) => [
    result.name,
    `${short(result.value)} ${result.unit}`,
    `${short(result.baselineValue)} ${result.unit}`,
    short(result.ratio),
    spread(ratioMin, ratioMax),
    result.target ?? '',
    verdict(met),
    result.baseline,
  ])
  return columns([head, ...rows])
}

/** A list of all benchmarks for people. */
export function formatList(benchmarks: readonly Benchmark[]): string {
  const head = ['benchmark', 'unit', 'target', 'compared with']
  const rows = benchmarks.map(({ name, unit, target, baseline }) => [
    name,
    unit,
    formatTarget(target, unit) ?? '',
    baseline,
  ])
  return columns([head, ...rows])
}

/** @param value null, NaN and infinities become dashes */
export function short(value: number | null): string {
  if (value === null || !Number.isFinite(value)) return '–'
  return value.toLocaleString('en', { maximumSignificantDigits: 3 })
}

export function spread(min: number | null, max: number | null): string {
  return `${short(min)} to ${short(max)}`
}

export function verdict(met: boolean | null | undefined): string {
  if (met === undefined || met === null) return ''
  return met ? 'met' : 'missed'
}

function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}
