import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const CHAOS = fileURLToPath(new URL('../../scripts/chaos.ts', import.meta.url))

test('one round of chaos on SQLite: faults, writes, and no promise broken', () => {
  const args = ['--rounds', '1', '--replicas', '3', '--seed', '1', '--json']
  const { status, stdout, stderr } = spawnSync(process.execPath, [CHAOS, ...args], { encoding: 'utf8' })
  expect(stderr).toMatch(/^round 1: \d+ faults, \d+ writes/m)
  const report = JSON.parse(stdout)
  expect(report).toMatchObject({ rounds: 1, replicas: 3, log: 'sqlite', seed: 1, broken: [] })
  expect(status).toBe(0)
  expect(report.writes.acknowledged).toBeGreaterThan(100)
  expect(Object.keys(report.faults).length).toBeGreaterThan(1)
  expect(report.length.entries).toBeGreaterThan(report.writes.acknowledged)
})
