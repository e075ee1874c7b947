import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { median } from '../bench/runner.ts'
import { short, spread } from '../bench/table.ts'
import { BYTES_IN_MB, COLUMNS, summary } from './columns.ts'
import type { Figures, Measured } from './results.ts'

export const PAGE = 'docs/figures.md'
export const DATA = 'docs/benchmarks/figures.json'
export const CHART = 'docs/benchmarks/figures.svg'
const [BEGIN, END] = ['<!-- figures: begin -->', '<!-- figures: end -->']

/** What the ratios are to, if it was measured. */
const BASE = 'stream'

/** The generated part of the page. */
export function formatFigures(figures: Figures): string {
  const { machine, versions, load, idleBytesPerSecond, items, rounds, stateBytes, minutes, date } = figures
  const runs = figures.measured[0]?.joins.length ?? 0
  const facts = [
    ['machine', `${machine.processor}, ${machine.cores} cores, ${machine.memoryGiB} GiB`],
    ['system', `${machine.kernel}, Node.js ${machine.node}`],
    [
      'versions',
      Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(', '),
    ],
    ['state', `${items.toLocaleString('en')} items, ${short(stateBytes / BYTES_IN_MB)} MB`],
    ['history', `${(items * rounds).toLocaleString('en')} entries, ${rounds} for each item`],
    [
      'measured',
      `${date.slice(0, 'yyyy-mm-dd'.length)}, ${runs} newcomers of each, ${Math.round(minutes)} minutes`,
    ],
    ['load average', `${short(load[0])} before the first newcomer, ${short(load[1])} after the last`],
    ...(idleBytesPerSecond === null
      ? []
      : [['loopback, with no newcomer', `${short(idleBytesPerSecond / 1_000)} kB/s`]]),
  ]
  const base = figures.measured.find(({ id }) => id === BASE)
  const ratios = base === undefined ? [] : ['time, as a ratio']
  const head = ['', ...COLUMNS.map(({ title, unit }) => `${title}, ${unit}`), ...ratios]
  const least = COLUMNS.map(({ of }) =>
    Math.min(...figures.measured.map((one) => summary(one, of)?.median ?? Number.POSITIVE_INFINITY)),
  )
  const rows = figures.measured.map((one) => [
    one.name,
    ...COLUMNS.map(({ of }, column) => cell(summary(one, of), least[column]!)),
    ...(base === undefined ? [] : [ratioTo(base, one)]),
  ])
  const left = figures.missing.map(({ name, why }) => [name, why])
  return [
    table([['', ''], ...facts]),
    table([head, ...rows]),
    ...(left.length > 0 ? [table([['not measured', 'why'], ...left])] : []),
  ].join('\n\n')
}

/** Write the data, the chart, and the part of the page between two comments. */
export async function writeFigures(root: string, figures: Figures): Promise<void> {
  const { drawFigures } = await import('./chart.ts')
  await writeFile(join(root, DATA), `${JSON.stringify(figures, undefined, 2)}\n`)
  await writeFile(join(root, CHART), drawFigures(figures))
  const page = await readFile(join(root, PAGE), 'utf8')
  await writeFile(join(root, PAGE), splice(page, formatFigures(figures)))
}

export function splice(page: string, part: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)]
  if (begin < 0 || end < begin) throw new Error(`${PAGE} lacks ${BEGIN} or ${END}`)
  return `${page.slice(0, begin + BEGIN.length)}\n\n${part}\n\n${page.slice(end)}`
}

/** The least median of its column is bold. */
function cell(values: ReturnType<typeof summary>, least: number): string {
  if (values === null) return '–'
  const value = short(values.median)
  return `${values.median === least ? `**${value}**` : value} (${spread(values.min, values.max)})`
}

/** The median of the runs' ratios: newcomers of one run came one after the other. */
function ratioTo(base: Measured, one: Measured): string {
  return short(median(one.joins.map(({ tookMs }, run) => tookMs / base.joins[run]!.tookMs)))
}

function table([head, ...rows]: readonly string[][]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head!), line(head!.map(() => '---')), ...rows.map(line)].join('\n')
}
