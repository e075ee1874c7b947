import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { describePostgres } from '../log/postgres.ts'

const CHAOS = fileURLToPath(new URL('../../scripts/chaos.ts', import.meta.url))

/** Its first round on SQLite has a kill, a wipe and a joiner, and is over within six seconds. */
const SQLITE_SEED = 19_142
/** On PostgreSQL, the standby is promoted while a replica is down, and another joins. It takes five seconds. */
const POSTGRES_SEED = 47_549

test('one round of chaos on SQLite: faults, writes, and no promise broken', () => {
  oneRound('sqlite', SQLITE_SEED, { kill: 1, wipe: 1, join: 1 })
})

describePostgres('one round of chaos on PostgreSQL', () => {
  test('its standby is promoted, and no promise is broken', () => {
    oneRound('postgres', POSTGRES_SEED, { 'promote-server': 1, kill: 1, join: 1 })
  })
})

function oneRound(log: string, seed: number, faults: Record<string, number>): void {
  const args = ['--log', log, '--rounds', '1', '--replicas', '3', '--seed', String(seed), '--json']
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHAOS, ...args], { encoding: 'utf8' })
  expect(stderr).toMatch(/^round 1: \d+ faults, \d+ writes/m)
  const report = JSON.parse(stdout)
  expect(report).toMatchObject({ rounds: 1, replicas: 3, log, seed, broken: [] })
  expect(status).toBe(0)
  expect(report.writes.acknowledged).toBeGreaterThan(100)
  expect(report.faults).toEqual(faults)
  expect(report.length.entries).toBeGreaterThan(report.writes.acknowledged)
}
