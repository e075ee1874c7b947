import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type * as anchorage from '../../src/index.ts'
import { LogMismatch } from '../../src/log/errors.ts'
import { jetstreamLog } from '../../src/log/jetstream.ts'
import type { LogBackend } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { importInto } from '../../src/replica/import/import-into.ts'
import { createReplica } from '../../src/replica/start.ts'
import { type NatsServers, startNatsServers } from '../../src/testing/index.ts'
import { describeNats } from '../log/nats.ts'
import { describeWithRelease, lastRelease } from './last-release.ts'

type Package = typeof anchorage

let old: Package
let dir: string

/** What the last release exports. */
async function backup(): Promise<string> {
  const file = join(dir, 'backup')
  const map = new old.ReplicatedMap<string, number>()
  await using replica = await old.createReplica({ group: 'old', machine: map, log: old.memoryLog() })
  await replica.inSync()
  for (let n = 0; n < 10; n++) await map.set(`key ${n}`, n)
  await replica.exportTo(file)
  return file
}

/**
 * The file of the last release begins a log, which the last release refuses: it takes the first entry for one that
 * does nothing, and would begin with an empty state.
 */
function refuses(today: () => LogBackend, before: () => LogBackend): void {
  test('reads what the last release exported, and the last release refuses the new log', async () => {
    const dataDir = join(dir, 'data')
    await importInto({ log: today(), group: 'new', file: await backup(), dataDir })
    const map = new ReplicatedMap<string, number>()
    const { signature } = map
    const late = new old.ReplicatedMap<string, number>()
    expect(late.signature).toBe(signature)
    const refused = await old
      .createReplica({ group: 'new', machine: late, log: before() })
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ name: 'LogMismatch', field: 'signature' })
    expect((refused as Error).message).toContain('begins with a snapshot, which anchorage 0.1 cannot read')
    await using replica = await createReplica({ group: 'new', machine: map, log: today(), dataDir })
    await replica.inSync()
    expect([map.size, map.get('key 7')]).toEqual([10, 7])
    // To us its signature is what it is of.
    const log = await today().open({ group: 'new', signature, author: 'test' })
    expect(log.signature).toBe(signature)
    // After whatever the replica notes.
    await log.noteUpgrade('map/9', 1_000)
    await log.close()
    const newer = { group: 'new', signature: 'map/9', author: 'test' }
    const again = await today().open(newer)
    expect(again).toMatchObject({ signature, upgraded: 'map/9' })
    await again.close()
    const older = await before()
      .open({ group: 'new', signature, author: 'old' })
      .catch((error: unknown) => error)
    expect(older).toMatchObject({ code: expect.stringMatching(/^LOG_(MISMATCH|UNUSABLE)$/) })
  })
}

describeWithRelease('a log that begins with a snapshot', () => {
  beforeAll(async () => {
    old = await (await lastRelease()).load<Package>('index')
  })
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'anchorage-begun-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  const path = () => join(dir, 'log.db')
  refuses(
    () => sqliteLog({ path: path() }),
    () => old.sqliteLog({ path: path() }),
  )

  describeNats('on NATS', () => {
    let nats: NatsServers
    beforeAll(async () => {
      nats = await startNatsServers()
    })
    afterAll(() => nats.stop())

    refuses(
      () => jetstreamLog({ servers: nats.urls }),
      () => old.jetstreamLog({ servers: nats.urls }),
    )
  })
})

test('a log in memory keeps the signature of its machine to itself', async () => {
  const log = memoryLog()
  const of = { group: 'g', signature: 'map/1', author: 'test' }
  expect(await log.open({ ...of, snapshot: true })).toMatchObject({ signature: 'map/1' })
  expect(await log.open(of)).toMatchObject({ signature: 'map/1' })
  await expect(log.open({ ...of, signature: 'map/2' })).rejects.toThrow(LogMismatch)
})
