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
 * A log is used by the last release and by today's code at once, while its group goes over to other versions.
 * The last release knows nothing of these, and must go on reading and writing the log.
 */

/** With characters that have another form in JSON. */
const OLD = init({ group: 'a "group" of \\ ü', signature: 'shop/1' })
const NEW = { ...OLD, signature: 'shop/2', older: ['shop/1'], author: 'bob' }

let old: Library
let ours: Library

beforeAll(async () => {
  old = await libraryOf(await lastRelease())
  ours = await libraryOf(today)
})

type BackendOf = (library: Library) => LogBackend

/** Their handles follow and append while ours notes upgrades. Afterwards theirs open the log again. */
async function shared(backendOf: BackendOf, maker: Library): Promise<void> {
  const [theirs, mine] = [backendOf(old), backendOf(ours)]
  await (await backendOf(maker).open(OLD)).close()
  const before = await theirs.open(OLD)
  const log = await mine.open(NEW)
  const follower = new Follower(before)
  await before.append(commands('1'))
  expect((await follower.next())!.index).toBe(1)
  await log.noteUpgrade('shop/2', 1)
  for (const n of numbers(2, 40)) {
    await (Number(n) % 2 ? before : log).append(commands(n))
    if (n.endsWith('0')) await log.noteUpgrade(`shop/${n}`, Number(n))
  }
  expect((await follower.take(39)).map(text)).toEqual(numbers(2, 40))

  const after = await theirs.open(OLD)
  await after.notices.announce('alice', new Uint8Array(3), 60_000)
  await after.prune(10)
  await after.append(commands('41'))
  expect((await readAll(log, { index: 10 })).map(text)).toEqual(numbers(11, 41))
  expect(await log.notices.read()).toMatchObject([{ member: 'alice' }])
  for (const each of [before, after, log]) await each.close()

  const again = await theirs.open(OLD)
  expect((await again.bounds()).newest.index).toBe(41)
  await again.close()
  const { signature: _, ...whoever } = OLD
  const last = await mine.open({ ...whoever, create: false })
  expect(last).toMatchObject({ epoch: again.epoch, signature: 'shop/1', upgraded: 'shop/40' })
  await last.close()
  expect(await failureOf(mine.open(NEW))).toMatchObject({ code: 'LOG_MISMATCH', found: 'shop/40' })
}

describeWithRelease('a log that the last release uses too', () => {
  let dir: string
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'anchorage-logs-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  test.each(['old', 'new'])('in a file that the %s one made takes notes of upgrades', async (maker) => {
    const backendOf: BackendOf = ({ index }) => index.sqliteLog({ path: join(dir, 'log.db') })
    await shared(backendOf, maker === 'old' ? old : ours)
  })

  describeNats('on NATS', () => {
    let nats: NatsServers
    beforeAll(async () => {
      nats = await startNatsServers()
    })
    afterAll(() => nats?.stop())

    test.each(['old', 'new'])('in a stream that the %s one made takes notes of upgrades', async (maker) => {
      const backendOf: BackendOf = ({ index }) =>
        index.jetstreamLog({ servers: nats.urls, stream: `made-by-${maker}` })
      await shared(backendOf, maker === 'old' ? old : ours)
    })
  })
})
