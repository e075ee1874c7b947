import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { LogBackend } from '../../src/index.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { commands, Follower, failureOf, init, numbers, readAll, text } from '../log/entries.ts'
import { describeNats } from '../log/nats.ts'
import { describeWithRelease, lastRelease, today } from './last-release.ts'
import { type Library, libraryOf } from './library.ts'

/**
 * A log is used by the last release and by today's code at once. The last release obeys no upgrade: it would apply
 * commands as it always did, and in a group of its like its root would win. So it must not open the log of a group that
 * has gone over to anything. A handle of it that is open by then goes on: its replica finds out by its roots.
 */

/** With characters that have another form in JSON. */
const OLD = init({ group: 'a "group" of \\ ü', signature: 'shop/1' })
const NEW = { ...OLD, signature: 'shop/2', older: ['shop/1'], author: 'bob' }

let old: Library
let ours: Library

type BackendOf = (library: Library) => LogBackend

/** Their handles come and go, and one follows and appends, while ours notes upgrades. Afterwards no new one is let in. */
async function shared(backendOf: BackendOf, maker: Library, refusal: RegExp): Promise<void> {
  const [theirs, mine] = [backendOf(old), backendOf(ours)]
  await (await backendOf(maker).open(OLD)).close()
  const before = await theirs.open(OLD)
  const log = await mine.open(NEW)
  const follower = new Follower(before)
  await before.append(commands('1'))
  expect((await follower.next())!.index).toBe(1)
  const after = await theirs.open(OLD)
  await after.notices.announce('alice', new Uint8Array(3), 60_000)
  // Only the format of the group's own state: the machine is the same.
  await log.noteUpgrade('shop/1', 0)
  await expect(theirs.open(OLD)).rejects.toThrow(refusal)
  await log.noteUpgrade('shop/2', 1)
  for (const n of numbers(2, 40)) {
    await (Number(n) % 2 ? before : log).append(commands(n))
    if (n.endsWith('0')) await log.noteUpgrade(`shop/${n}`, Number(n))
  }
  expect((await follower.take(39)).map(text)).toEqual(numbers(2, 40))

  await after.prune(10)
  await after.append(commands('41'))
  expect((await readAll(log, { index: 10 })).map(text)).toEqual(numbers(11, 41))
  expect(await log.notices.read()).toMatchObject([{ member: 'alice' }])
  for (const each of [before, after, log]) await each.close()

  await expect(theirs.open(OLD)).rejects.toThrow(refusal)
  const { signature: _, ...whoever } = OLD
  const last = await mine.open({ ...whoever, create: false })
  expect(last).toMatchObject({ epoch: log.epoch, signature: 'shop/1', upgraded: 'shop/40' })
  await last.close()
  expect(await failureOf(mine.open(NEW))).toMatchObject({ code: 'LOG_MISMATCH', found: 'shop/40' })
}

describeWithRelease('a log that the last release uses too', () => {
  let dir: string
  beforeAll(async () => {
    old = await libraryOf(await lastRelease())
    ours = await libraryOf(today)
  })
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'anchorage-logs-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  test.each(['old', 'new'])(
    'in a file that the %s one made is closed to the old by a note of an upgrade',
    async (maker) => {
      const backendOf: BackendOf = ({ index }) => index.sqliteLog({ path: join(dir, 'log.db') })
      await shared(
        backendOf,
        maker === 'old' ? old : ours,
        /is of format 2, this version reads format 1: use the version of anchorage that wrote it/,
      )
    },
  )

  test('whose backend was written for the last release serves this one', async () => {
    const { createReplica, ReplicatedMap } = ours.index
    const map = new ReplicatedMap<string, number>()
    const options = { group: 'g', machine: map, log: old.index.memoryLog(), leaseMs: 250 }
    await using replica = await createReplica(options)
    await replica.inSync()
    await map.set('a', 1)
    expect(await replica.rootAt(await replica.mark())).toHaveLength(32)
    expect([map.get('a'), replica.counts.get('problem')]).toEqual([1, undefined])
  })

  describeNats('on NATS', () => {
    let nats: NatsServers
    beforeAll(async () => {
      nats = await startNatsServers()
    })
    afterAll(() => nats?.stop())

    test.each(['old', 'new'])(
      'in a stream that the %s one made is closed to the old by a note of an upgrade',
      async (maker) => {
        const backendOf: BackendOf = ({ index }) =>
          index.jetstreamLog({ servers: nats.urls, stream: `made-by-${maker}` })
        await shared(
          backendOf,
          maker === 'old' ? old : ours,
          /of the signature "of a newer version of anchorage: install the one that the other replicas run"/,
        )
      },
    )
  })
})
