import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { drawChart } from '../../scripts/bench/chart.ts'
import type { Kept, Report } from '../../scripts/bench/kept.ts'
import { describeMachine } from '../../scripts/bench/machine.ts'
import { merge, openReport, writeReport } from '../../scripts/bench/report.ts'

const BENCH = fileURLToPath(new URL('../../scripts/bench.ts', import.meta.url))
const CHART_BYTES_MAX = 40_000

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anchorage-report-'))
})
afterEach(() => rm(directory, { recursive: true }))

/** Small enough to say nothing about speed. */
function bench(...args: string[]) {
  return spawnSync(process.execPath, [BENCH, '--scale', '0.002', ...args], { encoding: 'utf8' })
}

async function results(): Promise<Report> {
  return JSON.parse(await readFile(join(directory, 'results.json'), 'utf8'))
}

async function filesOf(path: string): Promise<Record<string, string>> {
  const names = await readdir(path)
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(path, name), 'utf8')])),
  )
}

function kept(name: string, value: number, more: Partial<Kept> = {}): Kept {
  return {
    name,
    value,
    unit: 'MB/s',
    baseline: 'the wire',
    baselineValue: 100,
    ratio: value / 100,
    ratioMin: value / 100,
    ratioMax: value / 100,
    target: null,
    met: null,
    pairs: [{ ours: value, baseline: 100 }],
    date: '2026-01-02T03:04:05.678Z',
    full: false,
    scale: 1,
    ...more,
  }
}

test('--report writes the results with their raw pairs, a chart of each group, and a page', async () => {
  const { status, stdout } = bench('--json', '--report', directory, 'lease-table/sweep', 'lease-table/scan')
  expect(status).toBe(0)
  const { machine, results: written } = await results()
  expect(machine).toEqual(describeMachine())
  expect(written.map(({ name }) => name)).toEqual(['lease-table/sweep', 'lease-table/scan'])
  for (const [n, printed] of JSON.parse(stdout).entries()) {
    expect(written[n]).toMatchObject({ ...printed, full: false, scale: 0.002 })
    expect(Date.parse(written[n]!.date)).toBeGreaterThan(Date.now() - 600_000)
    const ratios = written[n]!.pairs.map(({ ours, baseline }) => ours! / baseline!)
    expect(written[n]).toMatchObject({ ratioMin: Math.min(...ratios), ratioMax: Math.max(...ratios) })
  }
  expect(written[0]!.met).toBe(written[0]!.ratio! <= 1.3)
  expect(written[1]!.met).toBeNull()

  const files = await filesOf(directory)
  expect(Object.keys(files).toSorted()).toEqual(['README.md', 'lease-table.svg', 'results.json'])
  expect(files['README.md']).toContain(machine.processor)
  expect(files['README.md']).toMatch(
    /\| `lease-table\/sweep` \|.* ns\/key \|.*\| ≤ 1\.3 \|.*, at 0\.002 of the size \|\n/,
  )
  expect(files['README.md']).toContain('](lease-table.svg)')
  expect(files['lease-table.svg']).toContain('against Map.delete of as many keys')
})

test('what is measured again is replaced, all else keeps its date, and the order is that of the list', async () => {
  const older = '2026-01-02T03:04:05.678Z'
  const before = ['lease-table/scan', 'lease-table/sweep', 'lease-table/no-longer'].map((name) =>
    kept(name, 1, { date: older }),
  )
  await writeReport(directory, { machine: describeMachine(), results: before })
  expect(bench('--report', directory, 'lease-table/sweep', 'lease-table/revive').status).toBe(0)
  const { results: after } = await results()
  expect(after.map(({ name, date }) => [name, date === older])).toEqual([
    ['lease-table/revive', false],
    ['lease-table/sweep', false],
    ['lease-table/scan', true],
  ])
  expect(after[2]).toEqual(before[0])
  const page = await readFile(join(directory, 'README.md'), 'utf8')
  expect(page).toContain(`from 2026-01-02 to ${after[1]!.date.slice(0, 10)}`)
})

test('the same results give the same files, whichever process draws them', async () => {
  bench('--report', directory, 'lease-table/sweep', 'lease-table/sweep-chunk')
  const files = await filesOf(directory)
  const report = await openReport(directory)
  for (const again of ['first', 'second']) {
    const path = join(directory, again)
    await openReport(path)
    await writeReport(path, report)
    expect(await filesOf(path)).toEqual(files)
  }
})

test('a chart has a white ground, a title, the figures in words, and nothing that a browser would have to run', () => {
  const chart = drawChart('transfer', [
    kept('transfer/random', 91, { target: '≥ 0.9', met: true }),
    kept('transfer/cities', 120, { target: '< 100 MB/s', met: false }),
  ])
  expect(chart).toMatch(
    /^<svg [^>]*>\n<title>transfer: ours beside the baseline<\/title>\n<rect [^>]*fill="#ffffff"/,
  )
  expect(chart).toContain('>ratio 0.91 (0.91 to 0.91), target ≥ 0.9: met<')
  expect(chart).toContain('>ratio 1.2 (1.2 to 1.2), target &lt; 100 MB/s: missed<')
  expect(chart).not.toMatch(/<style|<script|class=|zr\d/)
})

test('results in different units stand on axes of their own', () => {
  const axes = (unit: string) =>
    drawChart('a', [kept('a/b', 1), kept('a/c', 1000, { unit })]).split('>MB/s<').length - 1
  expect(axes('MB/s')).toBe(1)
  const chart = drawChart('a', [kept('a/b', 1), kept('a/c', 1000, { unit: 'µs' })])
  expect(chart).toContain('>MB/s<')
  expect(chart).toContain('>µs<')
})

test('names that end in numbers are a series along them, in the order of the numbers', () => {
  const chart = drawChart('sources', [kept('sources/16', 90), kept('sources/1', 80), kept('sources/4', 85)])
  const marks = [
    ...chart.matchAll(/<path [^>]*transform="matrix\([\d.,]+,(?<x>[\d.]+),(?<y>[\d.]+)\)" fill="#0b6bcb"/g),
  ]
  expect(marks.length).toBe(3)
  const xs = marks.map(({ groups }) => Number(groups!.x))
  expect(xs).toEqual(xs.toSorted((a, b) => a - b))
  // As far apart as the numbers are.
  expect((xs[2]! - xs[0]!) / (xs[1]! - xs[0]!)).toBeCloseTo(15 / 3)
  for (const words of ['1: 80 against 100 MB/s', '4: 85 against', '16: 90 against'])
    expect(chart).toContain(`>${words}`)
})

test('what the points of a series are compared with is said once, or of each if it differs', () => {
  const said = (...baselines: string[]) =>
    drawChart(
      'sources',
      baselines.map((baseline, n) => kept(`sources/${n}`, 90, { baseline })),
    ).match(/>against [^<]*/g)
  expect(said('the wire', 'the wire')).toEqual(['>against the wire'])
  expect(said('1 × 8 MB/s', '2 × 8 MB/s')).toEqual(['>against 1 × 8 MB/s', '>against 2 × 8 MB/s'])
})

test('a series over decades is drawn to a logarithmic scale', () => {
  const chart = drawChart(
    'growth',
    [10_000, 100_000, 1_000_000].map((items) => kept(`growth/${items}`, 90)),
  )
  const xs = [...chart.matchAll(/matrix\([\d.,]+,([\d.]+),[\d.]+\)" fill="#0b6bcb"/g)].map(([, x]) =>
    Number(x),
  )
  expect((xs[2]! - xs[0]!) / (xs[1]! - xs[0]!)).toBeCloseTo(2)
})

test('a chart of twelve benchmarks is small', () => {
  const many = Array.from({ length: 12 }, (_, n) => kept(`group/benchmark-${'x'.repeat(n)}`, n * 12.345))
  expect(Buffer.byteLength(drawChart('group', many))).toBeLessThan(CHART_BYTES_MAX)
})

test('a ratio that is no number is a dash', async () => {
  const broken = kept('a/b', 1, {
    baselineValue: 0,
    ratio: Number.NaN,
    ratioMin: Number.NaN,
    ratioMax: Number.NaN,
  })
  const report = merge({ machine: describeMachine(), results: [] }, [broken], ['a/b'])
  await writeReport(directory, report)
  const files = await filesOf(directory)
  expect(files['README.md']).toContain('| – | – to – |')
  expect(files['a.svg']).toContain('>ratio – (– to –)<')
})

test('a directory with something else in it is refused before anything is measured', async () => {
  const path = join(directory, 'results.json')
  const refused = (to: string, ...words: string[]) => {
    const { status, stdout, stderr } = bench('--report', to, 'lease-table/sweep')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    for (const word of words) expect(stderr).toContain(word)
  }
  await writeFile(path, '{"machine": 1')
  refused(directory, path, 'no results of benchmarks')
  await writeFile(path, '[]')
  refused(directory, path, 'no results of benchmarks')
  refused(path, 'EEXIST')
  const machine = { ...describeMachine(), processor: 'Abacus 1' }
  await writeReport(directory, { machine, results: [kept('lease-table/sweep', 1)] })
  const files = await filesOf(directory)
  refused(directory, path, 'another machine', 'Abacus 1', describeMachine().processor)
  expect(await filesOf(directory)).toEqual(files)
})

test.each([
  { args: ['--report'], says: 'argument missing' },
  { args: ['--report', ''], says: 'the path of a directory' },
  { args: ['--report', '--full'], says: 'the path of a directory' },
  { args: ['--list', '--json'], says: 'cannot be used with' },
])('$args is refused', ({ args, says }) => {
  const { status, stdout, stderr } = bench('lease-table/scan', ...args)
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toContain(says)
})
