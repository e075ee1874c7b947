import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Circumstances, Kept, Report } from './kept.ts'
import { describeMachine, type Machine } from './machine.ts'
import { formatPage } from './page.ts'
import type { Measured } from './runner.ts'

const RESULTS = 'results.json'
const PAGE = 'README.md'

/**
 * The report in a directory, or an empty one if there is none yet.
 *
 * @throws Error if the directory cannot be written, or if it holds results of another machine or other data
 */
export async function openReport(directory: string): Promise<Report> {
  await mkdir(directory, { recursive: true })
  await access(directory, constants.W_OK)
  const path = join(directory, RESULTS)
  const machine = describeMachine()
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw error
  })
  if (text === undefined) return { machine, results: [] }
  const report = parse(text)
  if (report === undefined) throw new Error(`${path} holds no results of benchmarks`)
  for (const key of Object.keys(machine) as (keyof Machine)[]) {
    const [there, here] = [report.machine[key], machine[key]]
    if (there !== here) throw new Error(`${path} is of another machine: its ${key} is ${there}, not ${here}`)
  }
  return report
}

export function keep(
  { result, pairs, ratioMin, ratioMax, met }: Measured,
  circumstances: Circumstances,
): Kept {
  return { ...result, ratioMin, ratioMax, met: met ?? null, pairs, ...circumstances }
}

/** Newer results replace older ones of the same name. Only `names` remain, in their order. */
export function merge(report: Report, newer: readonly Kept[], names: readonly string[]): Report {
  const byName = new Map([...report.results, ...newer].map((result) => [result.name, result]))
  return { machine: report.machine, results: names.flatMap((name) => byName.get(name) ?? []) }
}

/** Write the results, a chart for each group of them, and a page that shows it all. */
export async function writeReport(directory: string, report: Report): Promise<void> {
  const json = `${JSON.stringify(report, undefined, 2)}\n`
  await writeFile(join(directory, RESULTS), json)
  const written: Report = JSON.parse(json)
  // Loaded only now, so that the heap holds no charting library during the measurement.
  const { drawChart } = await import('./chart.ts')
  const groups = Map.groupBy(written.results, ({ name }) => groupOf(name))
  for (const [group, results] of groups) {
    await writeFile(join(directory, `${group}.svg`), drawChart(group, results))
  }
  await writeFile(join(directory, PAGE), formatPage(written, [...groups.keys()]))
}

/** The part of the name before the slash. */
export function groupOf(name: string): string {
  return name.split('/')[0]!
}

function parse(text: string): Report | undefined {
  try {
    const { machine, results } = JSON.parse(text)
    const isReport = typeof machine === 'object' && machine !== null && Array.isArray(results)
    return isReport ? { machine, results } : undefined
  } catch {
    return undefined
  }
}
