import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { encodeAnnouncement } from '../../src/group/announcement.ts'
import { appendControl, decodeControl } from '../../src/group/control.ts'
import {
  AppendUncertain,
  EpochChanged,
  LogBusy,
  LogMissing,
  LogRefused,
  LogRewound,
  LogTruncated,
  LogUnavailable,
} from '../../src/log/errors.ts'
import type { SimulatedLog } from '../../src/testing/simulation/log.ts'
import { commands, init, text } from '../log/entries.ts'
import { LogScene } from './log-scene.ts'

function texts(log: SimulatedLog): string[] {
  return log.record.entries.map(text)
}

describe('the record', () => {
  test('has every entry with who appended it, where and when, and what was acknowledged', async () => {
    const scene = new LogScene({ kind: 'local', stampBy: (node) => (node === 'a' ? 1000.7 : 2000) })
    const { log: a } = await scene.open('a')
    const { log: b } = await scene.open('b')
    const heard: number[] = []
    const off = scene.log.record.onEntry(({ index }) => heard.push(index))
    await scene.outcome(a.append(commands('1', '2')))
    await scene.pass(5)
    await scene.outcome(b.append(commands('3')))
    off()
    await scene.outcome(b.append(commands('4')))
    const { entries, acks } = scene.log.record
    expect(entries[0]).toMatchObject({
      index: 1,
      author: 'a',
      byNode: 'a',
      life: 'a#1',
      epoch: 'epoch-1',
      kind: 'command',
      timestampMs: 1000,
      atMs: 0,
    })
    expect(entries[2]).toMatchObject({ index: 3, author: 'b', life: 'b#1', timestampMs: 2000, atMs: 5 })
    expect(heard).toEqual([1, 2, 3])
    expect(acks.map(({ index, count, node }) => ({ index, count, node }))).toEqual([
      { index: 1, count: 2, node: 'a' },
      { index: 3, count: 1, node: 'b' },
      { index: 4, count: 1, node: 'b' },
    ])
    expect(acks[1]!.id).toBe(entries[2]!.id)
  })

  test('keeps what was pruned, by whomever, and counts the bytes that are left', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    await scene.outcome(log.append(commands('1', '22', '333', '4444', '55555')))
    expect(scene.log.bytesHeld).toBe(15)
    await scene.outcome(log.prune(2))
    scene.log.prune(3)
    scene.log.prune(1)
    expect(texts(scene.log)).toEqual(['1', '22', '333', '4444', '55555'])
    const { record, bytesHeld } = scene.log
    expect(record.first).toBe(4)
    expect(bytesHeld).toBe(9)
    expect(record.prunes).toMatchObject([
      { upTo: 2, by: 'a', newest: 5 },
      { upTo: 3, by: 'operator', newest: 5 },
    ])
    expect(record.prunes[0]!.decided).toBeDefined()
    scene.log.prune(100)
    expect(scene.log.bytesHeld).toBe(0)
    expect((await scene.outcome(log.bounds())).value).toMatchObject({ first: 6, newest: { index: 5 } })
  })

  test('keeps what a rewind took away, whose place others have then', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    await scene.outcome(log.append(commands('1', '2', '3')))
    await scene.outcome(log.append(commands('4')))
    const followed = scene.follow(log)
    await scene.pass(10)
    const rewinds: number[] = []
    scene.log.record.onRewind(({ to }) => rewinds.push(to))
    scene.log.rewind(2)
    await scene.pass(10)
    expect(followed.end?.error).toBeInstanceOf(LogRewound)
    await scene.outcome(log.append(commands('5', '6')))
    const { record, bytesHeld } = scene.log
    expect(texts(scene.log)).toEqual(['1', '2', '5', '6'])
    expect(rewinds).toEqual([2])
    expect(bytesHeld).toBe(4)
    expect(record.rewinds).toMatchObject([{ to: 2, epoch: 'epoch-1' }])
    expect(record.rewinds[0]!.lost.map(text)).toEqual(['3', '4'])
    const isThere = record.acks.map(({ index, id }) => record.entries[index - 1]?.id === id)
    expect(isThere).toEqual([true, false, true])
    expect(() => scene.log.rewind(5)).toThrow(RangeError)
  })

  test('an old backup has what was pruned since it was made', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    await scene.outcome(log.append(commands('1', '2', '3', '4')))
    scene.log.prune(2)
    await scene.outcome(log.append(commands('5', '6', '7', '8')))
    scene.log.prune(7)
    scene.log.rewind(5)
    expect(scene.log.record.first).toBe(3)
    expect(scene.log.bytesHeld).toBe(3)
    const followed = scene.follow(log, { index: 2 })
    await scene.pass(10)
    expect(followed.texts).toEqual(['3', '4', '5'])
  })

  test('keeps earlier incarnations, whose handles hear of the new one', async () => {
    const scene = new LogScene()
    const { log: old } = await scene.open('a')
    await scene.outcome(old.append(commands('1')))
    const followed = scene.follow(old)
    const epochs: string[] = []
    scene.log.record.onRecreate((epoch) => epochs.push(epoch))
    scene.log.recreate()
    await scene.pass(10)
    expect(followed.end?.error).toBeInstanceOf(EpochChanged)
    expect((await scene.outcome(old.append(commands('2')))).error).toBeInstanceOf(EpochChanged)
    const { log } = await scene.open('a', { group: 'another' })
    expect(log.epoch).toBe('epoch-2')
    await scene.outcome(log.append(commands('one')))
    scene.log.recreate()
    expect(scene.log.epoch).toBe('epoch-3')
    expect(epochs).toEqual(['epoch-2', 'epoch-3'])
    const { incarnations, entries } = scene.log.record
    expect(incarnations.map(({ epoch, entries }) => [epoch, entries.map(text)])).toEqual([
      ['epoch-1', ['1']],
      ['epoch-2', ['one']],
    ])
    expect(entries).toEqual([])
  })
})

describe('faults of appends', () => {
  test.each([
    ['busy', LogBusy],
    ['unavailable', LogUnavailable],
    ['refused', LogRefused],
  ] as const)('%s: the next appends are refused, and are not in the log', async (kind, error) => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    scene.log.refuse(kind, 2)
    for (const each of ['1', '2'])
      expect((await scene.outcome(log.append(commands(each)))).error).toBeInstanceOf(error)
    expect((await scene.outcome(log.append(commands('3')))).value).toMatchObject({ first: 1 })
    expect(texts(scene.log)).toEqual(['3'])
  })

  test('may be of one node, and heard of late', async () => {
    const scene = new LogScene({ kind: 'local' })
    const { log: a } = await scene.open('a')
    const { log: b } = await scene.open('b')
    scene.log.refuse('busy', 1, { node: 'b', afterMs: 5_000 })
    expect((await scene.outcome(a.append(commands('1')))).value).toEqual({ first: 1, last: 1 })
    expect(await scene.outcome(b.append(commands('2')))).toMatchObject({
      error: { waitedMs: 5_000 },
      atMs: 5_000,
    })
  })

  test('a lost acknowledgement: the entry is there, its writer is uncertain', async () => {
    const scene = new LogScene({ kind: 'local' })
    const { log } = await scene.open('a')
    scene.log.loseAcks(1, 'a', 300)
    const { error, atMs } = await scene.outcome(log.append(commands('1')))
    expect(error).toBeInstanceOf(AppendUncertain)
    expect(atMs).toBe(300)
    expect(texts(scene.log)).toEqual(['1'])
    expect(scene.log.record.acks).toEqual([])
  })

  test('a lost request: its writer is uncertain, and nothing is there', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    scene.log.loseRequests(1)
    expect((await scene.outcome(log.append(commands('1')))).error).toBeInstanceOf(AppendUncertain)
    expect(texts(scene.log)).toEqual([])
  })

  test('a torn append: its first half is there', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    scene.log.tearAppends(1)
    const { error } = await scene.outcome(log.append(commands('1', '2', '3')))
    expect(error).toBeInstanceOf(AppendUncertain)
    expect(texts(scene.log)).toEqual(['1', '2'])
  })

  test('are decided by whoever intercepts: here, no claim is acknowledged', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    const off = scene.log.intercept(({ entries, node }) =>
      node === 'a' && decodeControl(entries[0]!.payload)?.type === 'claim' ? 'lose-ack' : 'pass',
    )
    expect((await scene.outcome(appendControl(log, { type: 'claim', term: 1 }))).error).toBeInstanceOf(
      AppendUncertain,
    )
    expect((await scene.outcome(appendControl(log, { type: 'tick', term: 1 }))).value).toBe(2)
    off()
    expect((await scene.outcome(appendControl(log, { type: 'claim', term: 2 }))).value).toBe(3)
    const notes = scene.world.trace.timeline().map(({ what }) => what)
    expect(notes).toContain('2 tick by a#1')
  })

  test('end with all trouble', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    scene.log.refuse('busy', 10)
    scene.log.delay(5_000)
    scene.log.goAway()
    scene.log.mend()
    const { value, atMs } = await scene.outcome(log.append(commands('1')))
    expect(value).toMatchObject({ first: 1 })
    expect(atMs).toBeLessThan(10)
  })
})

describe('servers that go away', () => {
  test('a connected process hears of the loss and the return, and follows on', async () => {
    const scene = new LogScene()
    const { log: a } = await scene.open('a')
    const { log: b } = await scene.open('b')
    const heard: [number, boolean][] = []
    const beganMs = scene.world.nowMs
    a.connection!.onChange((connected) => heard.push([scene.world.nowMs - beganMs, connected]))
    const followed = scene.follow(a)
    scene.log.goAway('a', 9_000)
    await scene.outcome(b.append(commands('1')))
    await scene.pass(20_000)
    expect(a.connection!.connected).toBe(false)
    expect(b.connection!.connected).toBe(true)
    expect(followed.texts).toEqual([])
    scene.log.comeBack('a')
    await scene.pass(2_000)
    expect(followed.texts).toEqual(['1'])
    expect(heard.map(([, connected]) => connected)).toEqual([false, true])
    expect(heard[0]![0]).toBe(9_000)
  })

  test('an outage that nobody noticed delays what was asked meanwhile', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    scene.log.goAway(undefined, 5_000)
    const append = scene.watch(log.append(commands('1')))
    const bounds = scene.watch(log.bounds())
    await scene.pass(1_000)
    expect([append.now, bounds.now]).toEqual([undefined, undefined])
    scene.log.comeBack()
    await scene.pass(10)
    expect(append.now?.value).toMatchObject({ first: 1 })
    expect(bounds.now?.value).toBeDefined()
    await scene.pass(10_000)
    expect(log.connection!.connected).toBe(true)
  })

  test('appends wait, in their order, and are given up as unavailable: they were never sent', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    scene.log.goAway()
    await scene.pass(1)
    const beganMs = scene.world.nowMs
    const { error, atMs } = await scene.outcome(log.append(commands('1')))
    expect(error).toBeInstanceOf(LogUnavailable)
    expect(atMs - beganMs).toBe(60_000)
    const others = ['2', '3', '4'].map((each) => scene.watch(log.append(commands(each))))
    await scene.pass(1_000)
    scene.log.comeBack()
    await scene.pass(2_010)
    expect(others.map(({ now }) => now?.value)).toMatchObject([{ first: 1 }, { first: 2 }, { first: 3 }])
    expect(texts(scene.log)).toEqual(['2', '3', '4'])
  })

  test('an append under way at the loss is uncertain in the end', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    const append = scene.outcome(log.append(commands('1')))
    scene.log.goAway()
    expect((await append).error).toBeInstanceOf(AppendUncertain)
    expect(texts(scene.log)).toEqual([])
  })

  test('an acknowledgement that an outage took comes after it, and the entry is there once', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    const append = scene.watch(log.append(commands('1')))
    await scene.pass(0.6)
    expect(texts(scene.log)).toEqual(['1'])
    scene.log.goAway()
    await scene.pass(30_000)
    expect(append.now).toBeUndefined()
    scene.log.comeBack()
    await scene.pass(2_010)
    expect(append.now?.value).toMatchObject({ first: 1, last: 1 })
    expect(texts(scene.log)).toEqual(['1'])
  })

  test('what only asks is given up after half a minute, and an aborted call at once', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    await scene.outcome(log.append(commands('1')))
    scene.log.goAway()
    await scene.pass(1)
    const beganMs = scene.world.nowMs
    const abort = new AbortController()
    const aborted = scene.watch(log.bounds({ signal: abort.signal }))
    const read = async () => {
      for await (const _ of log.read({ index: 0 })) expect.unreachable('nothing can be read')
    }
    const asked = [log.bounds(), log.prune(0), log.notices.read(), read()].map((each) => scene.watch(each))
    await scene.pass(29_000)
    expect(asked.map(({ now }) => now)).toEqual([undefined, undefined, undefined, undefined])
    const reason = new Error('too late')
    abort.abort(reason)
    await scene.pass(1)
    expect(aborted.now?.error).toBe(reason)
    await scene.pass(1_000)
    for (const { now } of asked) {
      expect(now?.error).toBeInstanceOf(LogUnavailable)
      expect(now?.atMs).toBe(beganMs + 30_000)
    }
  })

  test('opening is given up after ten seconds, and works once they are back', async () => {
    const scene = new LogScene()
    scene.log.goAway()
    await expect(scene.open('a')).rejects.toThrow(LogUnavailable)
    expect(scene.world.nowMs).toBe(10_000)
    const opening = scene.watch(scene.log.backendFor(scene.life('b'), 'b').open(init()))
    await scene.pass(100)
    scene.log.comeBack()
    await scene.pass(2_010)
    expect(opening.now?.value).toBeDefined()
  })

  test('a log that nobody made is missing to whoever must not make it', async () => {
    await expect(new LogScene().open('a', { create: false })).rejects.toThrow(LogMissing)
  })
})

describe('the lock of a local log', () => {
  test('writes wait for it, and readers do not', async () => {
    const scene = new LogScene({ kind: 'local' })
    const { log } = await scene.open('a')
    expect(log.connection).toBeUndefined()
    await scene.outcome(log.append(commands('1')))
    scene.log.goAway()
    const followed = scene.follow(log)
    const writes = [log.append(commands('2')), log.prune(1), log.notices.announce('a', new Uint8Array(1), 9)]
    const watched = writes.map((each) => scene.watch(each))
    await scene.pass(4_999)
    expect(followed.texts).toEqual(['1'])
    expect((await scene.outcome(log.bounds())).value).toMatchObject({ newest: { index: 1 } })
    expect((await scene.outcome(log.notices.read())).value).toEqual([])
    expect(watched.map(({ now }) => now)).toEqual([undefined, undefined, undefined])
    await scene.pass(1)
    for (const { now } of watched) expect(now?.error).toBeInstanceOf(LogBusy)
    const late = scene.watch(log.append(commands('3')))
    await scene.pass(4_000)
    scene.log.comeBack()
    await scene.pass(0)
    expect(late.now?.value).toEqual({ first: 2, last: 2 })
    expect(texts(scene.log)).toEqual(['1', '3'])
  })
})

test('a write that finds the lock held when it comes has written nothing, and says so', async () => {
  const scene = new LogScene({ kind: 'local' })
  scene.log.setLatency({ thereMs: 1 })
  const { log } = await scene.open('a')
  const append = scene.outcome(log.append(commands('1')))
  scene.log.goAway()
  expect((await append).error).toBeInstanceOf(LogBusy)
  expect(texts(scene.log)).toEqual([])
})

describe('lives', () => {
  test('an append that is under way when its process dies takes effect, and nobody hears', async () => {
    const scene = new LogScene()
    const { life, log } = await scene.open('a')
    const followed = scene.follow(log)
    const append = scene.watch(log.append(commands('1')))
    life.kill()
    await scene.pass(100)
    expect(texts(scene.log)).toEqual(['1'])
    expect(append.now).toBeUndefined()
    expect(followed).toMatchObject({ texts: [], end: undefined })
    expect(scene.log.record.acks).toEqual([])
  })

  test('nothing is kept for a process that is dead, or for a handle that is closed', async () => {
    const scene = new LogScene()
    const [a, b] = [await scene.open('a'), await scene.open('b')]
    const followed = scene.follow(b.log)
    await scene.pass(1)
    expect(scene.log.handles).toBe(2)
    a.life.kill()
    expect(scene.log.handles).toBe(1)
    await scene.outcome(b.log.close())
    expect(scene.log.handles).toBe(0)
    expect(followed.end).toBeDefined()
  })

  test('a process that dies at its call has not made it', async () => {
    const scene = new LogScene({ kind: 'local' })
    const { life, log } = await scene.open('a')
    life.killAtCall(2)
    const first = scene.watch(log.append(commands('1')))
    const second = scene.watch(log.append(commands('2')))
    await scene.pass(100)
    expect(first.now?.value).toEqual({ first: 1, last: 1 })
    expect(second.now).toBeUndefined()
    expect(texts(scene.log)).toEqual(['1'])
  })

  test('a dead process sends nothing again, and waits for nothing', async () => {
    const scene = new LogScene()
    const { life, log } = await scene.open('a')
    scene.log.goAway()
    const calls = [log.append(commands('1')), log.bounds()].map((each) => scene.watch(each))
    await scene.pass(10)
    life.kill()
    scene.log.comeBack()
    await scene.pass(100_000)
    expect(calls.map(({ now }) => now)).toEqual([undefined, undefined])
    expect(texts(scene.log)).toEqual([])
  })

  test.each(['local', 'service'] as const)('%s: a paused process gets everything later', async (kind) => {
    const scene = new LogScene({ kind })
    const { life, log } = await scene.open('a')
    const { log: b } = await scene.open('b')
    const followed = scene.follow(log)
    const append = scene.watch(log.append(commands('1')))
    await scene.pass(0.6)
    life.pause()
    await scene.outcome(b.append(commands('2')))
    await scene.pass(1_000)
    expect(followed.texts).toEqual(kind === 'local' ? ['1'] : [])
    life.resume()
    await scene.pass(1)
    expect(append.now?.value).toMatchObject({ first: 1 })
    expect(followed.texts).toEqual(['1', '2'])
  })

  test('a process at work takes entries in when it is done', async () => {
    const scene = new LogScene({ kind: 'local' })
    const { life, log } = await scene.open('a')
    const { log: b } = await scene.open('b')
    const followed = scene.follow(log)
    await scene.pass(1)
    life.work(50)
    await scene.outcome(b.append(commands('1')))
    await scene.pass(100)
    expect(followed.atMs).toEqual([51])
  })

  test('a pruned entry is LogTruncated to a follower that was paused before it', async () => {
    const scene = new LogScene()
    const { life, log } = await scene.open('a')
    const { log: b } = await scene.open('b')
    const followed = scene.follow(log)
    await scene.pass(1)
    life.pause()
    await scene.outcome(b.append(commands('1', '2')))
    scene.log.prune(1)
    life.resume()
    await scene.pass(10)
    expect(followed.end?.error).toBeInstanceOf(LogTruncated)
  })
})

describe('time', () => {
  test('an answer and a delivery take their ways', async () => {
    const scene = new LogScene()
    scene.log.setLatency({ thereMs: 3, backMs: 4 })
    const { log } = await scene.open('a')
    const { log: b } = await scene.open('b')
    const beganMs = scene.world.nowMs
    const followed = scene.follow(b)
    const { atMs } = await scene.outcome(log.append(commands('1')))
    expect(atMs - beganMs).toBe(7)
    await scene.pass(10)
    expect(followed.atMs).toEqual([beganMs + 7])
    scene.log.slowReader('b', 500)
    scene.log.delay(20)
    const late = await scene.outcome(log.append(commands('2')))
    await scene.pass(1_000)
    expect(late.atMs - beganMs).toBe(7 + 10 + 27)
    expect(followed.atMs[1]! - late.atMs).toBe(500)
  })

  test('each entry takes its own way: none comes early because another was due', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    const followed = scene.follow(log)
    scene.log.slowReader('a', 99.5)
    const sentMs: number[] = []
    for (let n = 0; n < 5; n++) {
      sentMs.push(scene.world.nowMs)
      void log.append(commands(String(n)))
      await scene.pass(30)
    }
    await scene.pass(200)
    followed.atMs.forEach((atMs, n) => {
      expect(atMs - sentMs[n]!).toBeCloseTo(100.5, 6)
    })
    expect(followed.texts).toEqual(['0', '1', '2', '3', '4'])
  })

  test('nothing overtakes on one connection, whatever each takes', async () => {
    const scene = new LogScene()
    scene.log.setLatency({ thereMs: 1, backMs: 1, jitterMs: 50 })
    const { log } = await scene.open('a')
    const order: number[] = []
    for (let n = 1; n <= 50; n++) void log.append(commands(String(n))).then(({ first }) => order.push(first))
    await scene.pass(500)
    const all = Array.from({ length: 50 }, (_, n) => n + 1)
    expect(order).toEqual(all)
    expect(texts(scene.log)).toEqual(all.map(String))
  })

  test('an append that is slow holds up those behind it', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    const beganMs = scene.world.nowMs
    scene.log.delay(100)
    const slow = scene.watch(log.append(commands('1')))
    await scene.pass(1)
    scene.log.delay(0)
    const { atMs, value } = await scene.outcome(log.append(commands('2')))
    expect(value).toMatchObject({ first: 2 })
    expect(slow.now?.atMs).toBe(beganMs + 101)
    expect(atMs).toBe(beganMs + 101)
  })

  test('without latency, neither an append nor its deliveries are events of the world', async () => {
    const scene = new LogScene({ kind: 'local' })
    const { log } = await scene.open('a')
    const followed = await Promise.all(
      ['b', 'c', 'd'].map(async (node) => scene.follow((await scene.open(node)).log)),
    )
    await log.append(commands('1', '2'))
    await nextTurn()
    // Nothing is due: the time is just set.
    expect(await scene.world.step(1_000)).toBe(false)
    for (const { atMs } of followed) expect(atMs).toEqual([0, 0])
    for (const { texts } of followed) expect(texts).toEqual(['1', '2'])
  })

  test('servers stamp by their clock, and a local log by the clock of the node', async () => {
    const wall: Record<string, number> = { a: 10_000, b: 20_000 }
    const service = new LogScene({ stampBy: (node) => wall[node]! })
    const local = new LogScene({ kind: 'local', stampBy: (node) => wall[node]! })
    for (const scene of [service, local])
      for (const node of ['a', 'b', 'a']) {
        const { log } = await scene.open(node)
        scene.log.stepWall(-1_000_000)
        await scene.outcome(log.append(commands('x')))
      }
    expect(local.log.record.entries.map(({ timestampMs }) => timestampMs)).toEqual([10_000, 20_000, 10_000])
    const stamps = service.log.record.entries.map(({ timestampMs }) => timestampMs)
    expect(stamps[1]! - stamps[0]!).toBeLessThan(-999_000)
    expect(service.log.wallMs() - stamps[2]!).toBeLessThan(10)
  })
})

describe('presences', () => {
  const announcement = encodeAnnouncement({
    epoch: 'epoch-1',
    addresses: [],
    state: 'in-sync',
    applied: 0,
    leads: 0,
    offers: [],
    needs: 0,
    checkpoint: 0,
  })

  test('are recorded as they were announced, lost, and announced anew', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    const seen: string[][] = []
    void (async () => {
      for await (const presences of log.notices.watch()) seen.push(presences.map(({ member }) => member))
    })()
    await scene.outcome(log.notices.announce('m', announcement, 1_000))
    const recorded = scene.log.record.presences
    expect(recorded.get('m')).toMatchObject({ node: 'a', ttlMs: 1_000 })
    await scene.pass(1)
    scene.log.losePresences()
    await scene.pass(1)
    expect(recorded.size).toBe(1)
    expect(scene.log.record.presences.size).toBe(0)
    await scene.outcome(log.notices.announce('m', announcement, 1_000))
    await scene.pass(1)
    expect(seen).toEqual([[], ['m'], [], ['m']])
    // Servers that make the bucket anew count from 1 again.
    expect((await scene.outcome(log.notices.read())).value).toMatchObject([{ version: 1 }])
    await scene.outcome(log.notices.withdraw('m'))
    expect(scene.log.record.presences.size).toBe(0)
  })

  test('can be out of reach of one node, whose entries still come', async () => {
    const scene = new LogScene()
    const { log: a } = await scene.open('a')
    const { log: b } = await scene.open('b')
    scene.log.freezePresences('a')
    const read = scene.watch(a.notices.read())
    const announced = scene.watch(a.notices.announce('a', announcement, 1_000))
    expect((await scene.outcome(a.append(commands('1')))).value).toMatchObject({ first: 1 })
    expect((await scene.outcome(b.notices.read())).value).toEqual([])
    expect(a.connection!.connected).toBe(true)
    await scene.pass(31_000)
    expect(read.now?.error).toBeInstanceOf(LogUnavailable)
    expect(announced.now?.error).toBeInstanceOf(LogUnavailable)
    const later = scene.watch(a.notices.announce('a', announcement, 1_000))
    scene.log.thawPresences('a')
    await scene.pass(10)
    expect(later.now?.error).toBeUndefined()
    expect((await scene.outcome(b.notices.read())).value).toMatchObject([{ member: 'a' }])
  })

  test('age by the clock of the servers, which drop those of more than an hour ago', async () => {
    const scene = new LogScene()
    const { log } = await scene.open('a')
    await scene.outcome(log.notices.announce('m', announcement, 1_000))
    scene.log.stepWall(3_000_000)
    const { value } = await scene.outcome(log.notices.read())
    expect((value as { ageMs: number }[])[0]!.ageMs).toBeGreaterThanOrEqual(3_000_000)
    scene.log.stepWall(700_000)
    expect((await scene.outcome(log.notices.read())).value).toEqual([])
  })

  test('are swept from a local log when somebody announces after their TTL', async () => {
    const scene = new LogScene({ kind: 'local' })
    const { log } = await scene.open('a')
    await scene.outcome(log.notices.announce('m', announcement, 1_000))
    await scene.outcome(log.notices.announce('n', announcement, 10_000))
    await scene.pass(2_000)
    expect((await scene.outcome(log.notices.read())).value).toHaveLength(2)
    await scene.outcome(log.notices.announce('n', announcement, 10_000))
    expect((await scene.outcome(log.notices.read())).value).toMatchObject([{ member: 'n' }])
  })
})

/** A run of three writers with trouble of all kinds, and its trace. */
async function hashOf(seed: number): Promise<string> {
  const scene = new LogScene({}, seed)
  const { log } = scene
  log.setLatency({ jitterMs: 5 })
  const chance = scene.world.chance('test')
  const handles = [await scene.open('a'), await scene.open('b'), await scene.open('c')]
  for (const { log, life } of handles) {
    const followed = scene.follow(log)
    scene.watch(log.append(commands('first'))).now = undefined
    life.onDeath(() => scene.world.note(life.name, `had ${followed.texts.length}`))
  }
  const deeds = [
    () => log.loseAcks(1),
    () => log.loseRequests(1, 'b'),
    () => log.refuse('busy', 1),
    () => log.goAway('c'),
    () => log.comeBack(),
    () => log.prune(chance.integer(0, 5)),
    () => log.delay(chance.integer(0, 20)),
    () => log.rewind(chance.integer(0, log.record.entries.length)),
  ]
  for (let n = 0; n < 100; n++) {
    chance.pick(deeds)()
    const { log: handle, life } = chance.pick(handles)
    if (chance.happens(0.02)) life.kill()
    handle.append(commands(`${n}`)).then(
      ({ first }) => scene.world.note(life.name, `has ${first}`),
      ({ name }) => scene.world.note(life.name, name),
    )
    await scene.pass(chance.integer(0, 30))
  }
  await scene.pass(100_000)
  return scene.world.trace.hash
}

test('the same seed does the same, another one does not', async () => {
  const hash = await hashOf(7)
  expect(await hashOf(7)).toBe(hash)
  expect(await hashOf(8)).not.toBe(hash)
})
