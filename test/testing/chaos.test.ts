import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const CHAOS = fileURLToPath(new URL('../../scripts/chaos.ts', import.meta.url))

/** Its first round has a kill, a wipe and a joiner, and is over within six seconds. */
const SEED = 19_142

test('one round of chaos on SQLite: faults, writes, and no promise broken', () => {
  const args = ['--rounds', '1', '--replicas', '3', '--seed', String(SEED), '--json']
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHAOS, ...args], { encoding: 'utf8' })
  expect(stderr).toMatch(/^round 1: \d+ faults, \d+ writes/m)
  const report = JSON.parse(stdout)
  expect(report).toMatchObject({ rounds: 1, replicas: 3, log: 'sqlite', seed: SEED, broken: [] })
  expect(status).toBe(0)
  expect(report.writes.acknowledged).toBeGreaterThan(100)
  expect(report.faults).toEqual({ kill: 1, wipe: 1, join: 1 })
  expect(report.length.entries).toBeGreaterThan(report.writes.acknowledged)
})
