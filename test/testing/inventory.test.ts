import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { checkUpgrade } from '../../docs/examples/inventory-2-check.ts'
import { checkInventory } from '../../docs/examples/inventory-check.ts'
import { liveThrough } from '../../docs/examples/inventory-life.ts'
import { restart } from '../../docs/examples/inventory-restart.ts'
import { twoLives } from '../../docs/examples/inventory-two-lives.ts'
import { rollOver } from '../../docs/examples/inventory-upgrade.ts'

test('the inventory of the documents passes checkMachine()', async () => {
  const report = await checkInventory()
  expect(report).toMatchObject({ commands: 200, malformed: 0 })
  expect([report.items > 10, report.mutants.malformed > 100]).toEqual([true, true])
})

test('it lives through a kill, a pause, a prune and a join', async () => {
  await liveThrough(new URL('./inventory-process.ts', import.meta.url))
})

test('its second life begins with the checkpoint of the first', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-inventory-'))
  try {
    expect(await restart(dataDir)).toBe(3)
  } finally {
    await rm(dataDir, { recursive: true })
  }
})

test('a second life with the second version goes over when it is told', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-inventory-'))
  try {
    await twoLives(dataDir)
  } finally {
    await rm(dataDir, { recursive: true })
  }
})

test('its second version passes, beside the first one, and so does the way to it', async () => {
  const report = await checkUpgrade()
  expect(report).toMatchObject({ malformed: 0, upgrades: [{ from: 'inventory/1', to: 'inventory/2' }] })
})

test('it rolls over to its second version, in processes', async () => {
  const [first, second] = ['./inventory-process.ts', './inventory-2-process.ts']
  await rollOver({ first: new URL(first!, import.meta.url), second: new URL(second!, import.meta.url) })
})
