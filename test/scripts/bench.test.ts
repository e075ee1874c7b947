import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const BENCH = fileURLToPath(new URL('../../scripts/bench.ts', import.meta.url))

/** Small enough to say nothing about speed. */
function bench(...args: string[]) {
  return benchIn(process.env, ...args)
}

function benchIn(env: NodeJS.ProcessEnv, ...args: string[]) {
  return spawnSync(process.execPath, [BENCH, '--scale', '0.002', ...args], { encoding: 'utf8', env })
}

test('--json prints one line, an array with each benchmark of the group', () => {
  const { status, stdout, stderr } = bench('--json', 'lease-table')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(stdout).toMatch(/^[^\n]+\n$/)
  const results = JSON.parse(stdout)
  for (const result of results) {
    expect(result).toEqual({
      name: expect.stringMatching(/^lease-table\//),
      value: expect.any(Number),
      unit: expect.any(String),
      baseline: expect.any(String),
      baselineValue: expect.any(Number),
      ratio: expect.any(Number),
      target: result.target === null ? null : expect.stringMatching(/^[≤<] \d/),
    })
  }
  const targets = results.map(({ name, target }: { name: string; target: string | null }) => [name, target])
  expect(Object.fromEntries(targets)).toMatchObject({
    'lease-table/register': null,
    'lease-table/revive': '≤ 2',
    'lease-table/is-expired': '≤ 2',
    'lease-table/sweep': '≤ 1.3',
    'lease-table/sweep-chunk': '< 2 ms',
    'lease-table/sweep-growth': '≤ 1.2',
    'lease-table/bytes-per-key': '< 100 bytes',
    'lease-table/timer-per-key': null,
    'lease-table/scan': null,
  })
})

test('names run only what they name, once each', () => {
  const { stdout } = bench('--json', 'lease-table/sweep', 'lease-table/revive', 'lease-table/sweep')
  expect(JSON.parse(stdout).map(({ name }: { name: string }) => name)).toEqual([
    'lease-table/revive',
    'lease-table/sweep',
  ])
})

test('without --json there is a table with the spread, and a missed target is no error', () => {
  const { status, stdout } = bench('lease-table/sweep-chunk', 'lease-table/bytes-per-key')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^benchmark +ours +baseline +ratio +spread +target +compared with\n/)
  expect(stdout).toMatch(/\nlease-table\/sweep-chunk .* ms .* to .* < 2 ms +(met|missed) /)
  // The arrays of a table of few keys are shared by few.
  expect(stdout).toMatch(/\nlease-table\/bytes-per-key .* < 100 bytes +missed /)
})

test('a log is measured beside what one would use instead', () => {
  const { status, stdout, stderr } = bench('--json', 'log-append/sqlite-batches', 'log-follow/memory')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(JSON.parse(stdout)).toMatchObject([
    { name: 'log-append/sqlite-batches', unit: 'entries/s', target: '≥ 0.8' },
    { name: 'log-follow/memory', unit: 'entries/s', target: null },
  ])
})

test('a map is measured beside a tree of strings, and its cuts beside copies', () => {
  const names = ['set-random', 'get', 'scan', 'load-ordered', 'cut', 'cut-neighbours', 'install']
  const { status, stdout, stderr } = bench('--json', ...names.map((name) => `state/${name}`))
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  const results: { name: string; target: string; value: number }[] = JSON.parse(stdout)
  expect(results.map(({ name, target }) => [name, target])).toEqual([
    ['state/set-random', '≥ 1'],
    ['state/get', '≥ 0.8'],
    ['state/scan', '≥ 1'],
    ['state/load-ordered', '≥ 2'],
    ['state/cut', '≤ 2.5'],
    ['state/cut-neighbours', '≤ 0.1'],
    ['state/install', '≤ 2'],
  ])
  for (const { value } of results) expect(value).toBeGreaterThan(0)
})

test('where nats-server is missing, what needs it is skipped aloud, and the others are measured', () => {
  const env = { ...process.env, NATS_SERVER: '/nowhere/nats-server' }
  const { status, stdout, stderr } = benchIn(env, '--json', 'log-append/jetstream', 'lease-table/sweep')
  expect(status).toBe(0)
  expect(JSON.parse(stdout).map(({ name }: { name: string }) => name)).toEqual(['lease-table/sweep'])
  expect(stderr).toMatch(/^SKIPPED log-append\/jetstream: nats-server is not installed/)
})

test('an unknown name is an error that lists the known ones', () => {
  const { status, stdout, stderr } = bench('lease-tabel')
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(stderr).toContain("'lease-tabel'")
  expect(stderr).toContain('lease-table/register, lease-table/revive')
})

test('--help names the groups, --list every benchmark with its target and what it is compared with', () => {
  const { stdout: help } = bench('--help')
  expect(help).toContain('lease-table')
  expect(help).not.toContain('lease-table/')
  const { status, stdout: list } = spawnSync(process.execPath, [BENCH, '--list', 'lease-table', 'restart'], {
    encoding: 'utf8',
  })
  expect(status).toBe(0)
  expect(list).toMatch(/\nlease-table\/revive +ns\/key +≤ 2 +Map\.set of known keys\n/)
  expect(list).toMatch(/\nlease-table\/scan +ns\/key +a scan of all keys/)
  expect(list).toMatch(/\nrestart +ms +≤ 0\.33 +catching up/)
  expect(list).not.toContain('checkpoint')
})
