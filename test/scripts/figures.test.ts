import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { drawFigures } from '../../scripts/figures/chart.ts'
import { rowsText } from '../../scripts/figures/history.ts'
import type { Outcome, Task } from '../../scripts/figures/measure.ts'
import { CHART, DATA, formatFigures, PAGE, splice } from '../../scripts/figures/page.ts'
import type { Figures, Join } from '../../scripts/figures/results.ts'

const ROOT = join(import.meta.dirname, '..', '..')

let dir: string
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'anchorage-figures-test-'))
})
afterEach(() => rm(dir, { recursive: true }))

function read(path: string): Promise<string> {
  return readFile(join(ROOT, path), 'utf8')
}

function joined(tookMs: number, more: Partial<Join> = {}): Join {
  const costs = { loadedMs: 100, bytes: 2_000_000, peakMiB: 80, newcomerCpuMs: 500, providersCpuMs: 30 }
  return { tookMs, ...costs, ...more }
}

/** Measures a few rows with real processes, on the loopback that everybody shares. */
async function measure(ids: readonly string[], rows: string): Promise<Outcome> {
  const task: Task = {
    dir,
    cache: dir,
    rows: join(dir, 'rows.tsv'),
    rounds: 3,
    runs: 2,
    settleMs: 0,
    ids,
    isolated: false,
    outcome: join(dir, 'outcome.json'),
  }
  await writeFile(task.rows, rows)
  await writeFile(join(dir, 'task.json'), JSON.stringify(task))
  const program = join(ROOT, 'scripts/figures/measure.ts')
  const { status, stderr } = spawnSync(process.execPath, [program, join(dir, 'task.json')], {
    encoding: 'utf8',
  })
  expect({ status, stderr }).toMatchObject({ status: 0 })
  return JSON.parse(await readFile(task.outcome, 'utf8'))
}

test('the page and the chart are those of the data', async () => {
  const figures: Figures = JSON.parse(await read(DATA))
  const page = await read(PAGE)
  expect(splice(page, formatFigures(figures))).toBe(page)
  expect(drawFigures(figures)).toBe(await read(CHART))
})

test.runIf(process.platform === 'linux')(
  'newcomers are measured, and what cannot be is named with the reason',
  async () => {
    const outcome = await measure(['file', 'mosaik'], await rowsText(500))
    expect(outcome.items).toBe(500)
    expect(outcome.measured.map(({ id }) => id)).toEqual(['file'])
    const { joins } = outcome.measured[0]!
    expect(joins.length).toBe(2)
    for (const { tookMs, loadedMs, peakMiB, bytes } of joins) {
      expect(tookMs).toBeGreaterThan(loadedMs)
      expect(peakMiB).toBeGreaterThan(20)
      expect(bytes).toBeNull()
    }
    // Its program is not in that folder.
    expect(outcome.missing).toEqual([{ name: 'mosaik, a `Map`', why: expect.stringContaining('ENOENT') }])
  },
)

test.runIf(process.platform === 'linux')('a newcomer whose state is another one does not count', async () => {
  // A key that is there twice is one item of the state, and two of what is expected.
  const rows = await rowsText(10)
  const { measured, missing } = await measure(['file'], `${rows}${rows.split('\n')[0]}\n`)
  expect(measured).toEqual([])
  expect(missing).toEqual([
    { name: 'replay of a SQLite file', why: expect.stringContaining('not those that were written') },
  ])
})

test('of each column the least is bold, ratios are of one round, and what was left out is named', () => {
  const measured = [
    { id: 'stream', name: 'a replay', joins: [joined(4_000), joined(2_000), joined(8_000)] },
    {
      id: 'anchorage-nats',
      name: 'ours',
      joins: [joined(1_000), joined(1_000, { bytes: 1_000_000 }), joined(4_000)],
    },
  ]
  const text = formatFigures({
    machine: { processor: 'P', cores: 2, memoryGiB: 24, kernel: 'K', node: '24', libp2p: '3' },
    date: '2026-01-02T03:04:05.678Z',
    minutes: 3.2,
    load: [0.1, 2],
    idleBytesPerSecond: 12_000,
    versions: { anchorage: '1.2.3' },
    items: 10,
    rounds: 10,
    stateBytes: 1_000,
    measured,
    missing: [{ name: 'another', why: 'it | is not there' }],
  })
  expect(text).toContain('| a replay | 4 (2 to 8) |')
  expect(text).toContain('| ours | **1** (1 to 4) |')
  expect(text).toContain('| 0.5 |')
  expect(text).toContain('12 kB/s')
  expect(text).toContain('| another | it \\| is not there |')
  expect(text).toContain('2026-01-02, 3 newcomers of each')
})

test.each([
  { args: ['--only', 'mosaic'], says: 'mosaic is none of stream' },
  { args: ['--runs', '0'], says: 'from 1 to 20' },
  { args: ['--try', 'many'], says: 'from 1 to 200000' },
])('$args is refused before anything is installed', ({ args, says }) => {
  const program = join(ROOT, 'scripts/figures.ts')
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toContain(says)
})
