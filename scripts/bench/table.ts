import type { Measured } from './runner.ts'

const HEAD = ['benchmark', 'ours', 'baseline', 'ratio', 'spread', 'target', '', 'compared with']

/** What was measured, for people. */
export function formatTable(measured: readonly Measured[]): string {
  const rows = measured.map(({ result, ratioMin, ratioMax, met }) => [
    result.name,
    `${short(result.value)} ${result.unit}`,
    `${short(result.baselineValue)} ${result.unit}`,
    short(result.ratio),
    `${short(ratioMin)} to ${short(ratioMax)}`,
    result.target ?? '',
    met === undefined ? '' : met ? 'met' : 'missed',
    result.baseline,
  ])
  const widths = HEAD.map((_, column) => Math.max(...[HEAD, ...rows].map((row) => row[column]!.length)))
  return [HEAD, ...rows]
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  '))
    .map((line) => `${line.trimEnd()}\n`)
    .join('')
}

function short(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 })
}
