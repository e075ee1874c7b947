import { cpSync, rmSync } from 'node:fs'
import { createInbox, nanos } from '@nats-io/transport-node'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EpochChanged, LogMismatch, LogRewound, LogTruncated, LogUnusable } from '../../src/log/errors.ts'
import type { Log } from '../../src/log/log.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { Follower, failureOf, init, numbers, readAll, text } from './entries.ts'
import { Others } from './foreign-place.ts'
import { CONTROL, ForeignScene, order } from './foreign-scene.ts'
import { describeNats } from './nats.ts'

const CHUNK_BYTES = 64 * 1024

/** What the servers give for a backup of a stream, as `nats stream backup` keeps it. */
class Backup {
  readonly #stream: string
  readonly #described: object
  readonly #chunks: readonly Uint8Array[]

  static async of({ nc }: Others, stream: string): Promise<Backup> {
    const deliver = createInbox()
    const chunks: Uint8Array[] = []
    const whole = Promise.withResolvers<void>()
    const subscription = nc.subscribe(deliver, {
      callback: (_, msg) => {
        if (msg.data.length === 0) return whole.resolve()
        chunks.push(msg.data.slice())
        msg.respond()
      },
    })
    const request = JSON.stringify({ deliver_subject: deliver, chunk_size: CHUNK_BYTES })
    const { config, state } = (
      await nc.request(`$JS.API.STREAM.SNAPSHOT.${stream}`, request)
    ).json<Description>()
    await whole.promise
    subscription.unsubscribe()
    return new Backup(stream, { config, state }, chunks)
  }

  private constructor(stream: string, described: object, chunks: readonly Uint8Array[]) {
    this.#stream = stream
    this.#described = described
    this.#chunks = chunks
  }

  async restore({ nc, jsm }: Others): Promise<void> {
    await jsm.streams.delete(this.#stream)
    const subject = `$JS.API.STREAM.RESTORE.${this.#stream}`
    const { deliver_subject } = (
      await nc.request(subject, JSON.stringify(this.#described))
    ).json<Description>()
    for (const chunk of this.#chunks) await nc.request(deliver_subject, chunk)
    const end = (await nc.request(deliver_subject, '')).json<Description>()
    expect(end.error).toBeUndefined()
  }
}

interface Description {
  readonly config: object
  readonly state: object
  readonly deliver_subject: string
  readonly error?: object
}

describeNats('the epoch of a stream of others', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  afterAll(async () => {
    await nats?.stop()
  })

  const lastOf = async (log: Log) => (await readAll(log)).at(-1)!

  test('is one, even if many handles make it at the same moment', async () => {
    await using scene = await ForeignScene.on(nats)
    const logs = await Promise.all(Array.from({ length: 12 }, () => scene.open()))
    expect(new Set(logs.map(({ epoch }) => epoch)).size).toBe(1)
    await Promise.all(logs.map((log, n) => log.append([order(String(n))])))
    expect((await logs[0]!.bounds()).newest.index).toBe(12)
  })

  test('changes if the stream is made anew under the same name, even at once, and nothing gets into it', async () => {
    await using scene = await ForeignScene.on(nats)
    const log = await scene.open()
    await scene.publish('1', '2')
    const last = await lastOf(log)
    await scene.remake()
    const anew = await scene.open()
    expect(anew.epoch).not.toBe(log.epoch)
    const failures = [log.bounds(), readAll(log, last), log.notices.read()].map(failureOf)
    for (const failure of await Promise.all(failures)) {
      expect(failure).toBeInstanceOf(EpochChanged)
      expect(failure).toMatchObject({ found: anew.epoch })
    }
    await expect(log.append([order('late')])).rejects.toThrow(EpochChanged)
    expect((await anew.bounds()).newest.index).toBe(0)
  })

  test('changes with the moment at which one server made the stream, unless it has the newest message', async () => {
    await using scene = await ForeignScene.on(nats)
    await (await scene.open()).close()
    const empty = await scene.misdate(0.000_001)
    const log = await scene.open()
    expect(log.epoch).not.toBe(empty)
    await scene.publish('1', '2')
    await log.bounds()
    await log.close()
    const filled = await scene.misdate(60_000)
    const again = await scene.open()
    expect(again.epoch).toBe(filled)
    await again.close()
    await scene.misdate(120_000)
    await scene.others.jsm.streams.deleteMessage('ORDERS', 2)
    expect((await scene.open()).epoch).not.toMatch('misdated')
  })

  test('changes for a reader that waits, although nobody has opened the new stream yet', async () => {
    await using scene = await ForeignScene.on(nats)
    const log = await scene.open()
    const failure = new Follower(log).failure()
    await scene.remake()
    await scene.publish(...numbers(1, 5))
    expect(await failure).toBeInstanceOf(EpochChanged)
  })

  test('an entry that was meant for the old stream does nothing in the new one', async () => {
    await using scene = await ForeignScene.on(nats)
    // It does not notice in time.
    const log = await scene.open({ pollMs: 60_000 })
    await scene.remake()
    const anew = await scene.open()
    await log.append([{ kind: 'control', payload: new Uint8Array(1) }])
    expect((await readAll(anew))[0]).toMatchObject({ kind: 'control', epoch: log.epoch })
    expect(log.epoch).not.toBe(anew.epoch)
  })

  test('is the same if the stream is purged by others: the entries were pruned', async () => {
    await using scene = await ForeignScene.on(nats)
    await scene.publish(...numbers(1, 10))
    const log = await scene.open()
    const last = await lastOf(log)
    const follower = new Follower(log, last)
    await scene.others.jsm.streams.purge('ORDERS')
    const again = await scene.open()
    expect(again.epoch).toBe(log.epoch)
    expect(await again.bounds()).toMatchObject({ first: 11, newest: { index: 10 } })
    await expect(readAll(again)).rejects.toThrow(LogTruncated)
    await scene.publish('11')
    expect(text((await follower.next())!)).toBe('11')
  })

  test('is the same if the store of the servers is put back, and who read further is told', async () => {
    await using scene = await ForeignScene.on(nats)
    const { storeDir } = nats.servers[0]!
    const log = await scene.open()
    await scene.publish(...numbers(1, 6))
    await nats.kill('SIGTERM')
    cpSync(storeDir, `${storeDir}.copy`, { recursive: true })
    await nats.start()
    await using others = await Others.at(nats)
    for (const text of numbers(7, 10)) await others.publish({ subject: 'orders.new' }, text)
    const last = await lastOf(log)
    await nats.kill()
    rmSync(storeDir, { recursive: true })
    cpSync(`${storeDir}.copy`, storeDir, { recursive: true })
    rmSync(`${storeDir}.copy`, { recursive: true })
    await nats.start()
    const again = await scene.open()
    expect(again.epoch).toBe(log.epoch)
    await expect(readAll(again, last)).rejects.toThrow(LogRewound)
    await expect(readAll(log, last)).rejects.toThrow(LogRewound)
    await again.append(numbers(7, 10).map(order))
    await expect(readAll(log, last)).rejects.toThrow(LogRewound)
  })

  test('is the same if the servers restore a backup of the stream, and who read further is told', async () => {
    await using scene = await ForeignScene.on(nats)
    await scene.publish(...numbers(1, 6))
    const log = await scene.open()
    const sixth = await lastOf(log)
    const backup = await Backup.of(scene.others, 'ORDERS')
    await scene.publish(...numbers(7, 8))
    const eighth = await lastOf(log)
    await backup.restore(scene.others)
    const again = await scene.open()
    expect(again.epoch).toBe(log.epoch)
    expect(await readAll(again, sixth)).toEqual([])
    await expect(readAll(log, eighth)).rejects.toThrow(LogRewound)
    await scene.publish(...numbers(7, 10))
    await expect(readAll(log, eighth)).rejects.toThrow(LogRewound)
    expect((await readAll(log, sixth)).map(text)).toEqual(numbers(7, 10))
  })

  describe('of a mirror', () => {
    const mirror = { stream: 'COPY' }
    const mirrored = async (scene: ForeignScene) => {
      await scene.others.jsm.streams.add({ name: 'COPY', mirror: { name: 'ORDERS' } })
    }

    test('is its own, and its entries are written to the origin', async () => {
      await using scene = await ForeignScene.on(nats)
      await scene.publish('1', '2')
      await mirrored(scene)
      const log = await scene.open(mirror)
      const follower = new Follower(log)
      expect((await follower.take(2)).map(text)).toEqual(['1', '2'])
      expect(await log.append([order('3')])).toMatchObject({ first: 3, last: 3 })
      expect(text((await follower.next())!)).toBe('3')
      await log.append([{ kind: 'control', payload: Buffer.from('4') }])
      expect(await follower.next()).toMatchObject({ kind: 'control', index: 4, epoch: log.epoch })
      expect((await scene.others.jsm.streams.info('ORDERS')).state.last_seq).toBe(4)
    })

    test('is judged by its origin as that is now', async () => {
      await using scene = await ForeignScene.on(nats, { subjects: ['orders.new', CONTROL] })
      await mirrored(scene)
      const log = await scene.open({ ...mirror, pollMs: 1 })
      const paid = {
        kind: 'command',
        payload: Buffer.from('1'),
        message: { subject: 'orders.paid' },
      } as const
      await expect(log.append([paid])).rejects.toThrow(RangeError)
      const { streams } = scene.others.jsm
      await streams.update('ORDERS', { subjects: ['orders.>'] })
      await log.bounds()
      expect(await log.append([paid])).toMatchObject({ first: 1 })
      const failure = new Follower(log, { index: 1 }).failure()
      await streams.update('ORDERS', { subjects: ['orders.paid'] })
      expect(await failure).toBeInstanceOf(LogUnusable)
      await expect(log.append([{ kind: 'control', payload: Buffer.from('2') }])).rejects.toThrow(LogUnusable)
    })

    test('is read on when its origin is gone', async () => {
      await using scene = await ForeignScene.on(nats)
      await scene.publish('1')
      await mirrored(scene)
      const log = await scene.open(mirror)
      await new Follower(log).next()
      await scene.others.jsm.streams.delete('ORDERS')
      expect((await readAll(log)).map(text)).toEqual(['1'])
      await expect(scene.open(mirror)).rejects.toThrow('is gone')
    })

    test('is the same if the mirror is made anew with the messages that it had', async () => {
      await using scene = await ForeignScene.on(nats)
      await scene.publish(...numbers(1, 5))
      await mirrored(scene)
      const log = await scene.open(mirror)
      const third = (await new Follower(log).take(3)).at(-1)!
      // The handle looks again, and sees a message by which to know the mirror.
      const follower = new Follower(log, { index: 5 })
      await scene.publish('6')
      await follower.next()
      await log.bounds()
      await scene.others.jsm.streams.delete('COPY')
      await mirrored(scene)
      const again = await reopened(scene)
      expect(again.epoch).toBe(log.epoch)
      expect((await new Follower(again, third).take(3)).map(text)).toEqual(['4', '5', '6'])
    })

    /** The mirror needs a moment to have the messages again. Until then it is another, or an empty one. */
    async function reopened(scene: ForeignScene): Promise<Log> {
      for (let looks = 0; looks < 500; looks++) {
        const { state } = await scene.others.jsm.streams.info('COPY')
        if (state.last_seq === 6) break
      }
      return await scene.open(mirror)
    }

    test('that has only a part of its origin is refused', async () => {
      await using scene = await ForeignScene.on(nats)
      await scene.others.jsm.streams.add({
        name: 'COPY',
        mirror: { name: 'ORDERS', filter_subject: 'orders.new' },
      })
      const failure = await failureOf(scene.open(mirror))
      expect(failure).toBeInstanceOf(LogUnusable)
      expect(String(failure)).toContain('mirror all of it')
    })

    test('whose origin breaks the history is refused, or has no such subject', async () => {
      await using scene = await ForeignScene.on(nats, { max_msgs_per_subject: 3 })
      await mirrored(scene)
      await expect(scene.open(mirror)).rejects.toThrow('ORDERS: max_msgs_per_subject')
      await scene.others.jsm.streams.delete('COPY')
      await scene.remake({ subjects: ['orders.new'] })
      await mirrored(scene)
      await expect(scene.open(mirror)).rejects.toThrow('ORDERS takes no message on orders.anchorage')
    })
  })

  describe('if the bucket of the group is removed', () => {
    const remove = async (scene: ForeignScene) => {
      for (const name of await scene.buckets()) await scene.others.jsm.streams.delete(name)
    }

    test('stays with who follows the log, and is put back', async () => {
      await using scene = await ForeignScene.on(nats)
      await scene.publish(...numbers(1, 5))
      const log = await scene.open({ from: 3 })
      await log.noteUpgrade('map/2', 1)
      const follower = new Follower(log)
      await follower.take(3)
      await remove(scene)
      await log.bounds()
      const again = await scene.open({}, { signature: 'map/2', older: ['map/1'] })
      expect(again).toMatchObject({ epoch: log.epoch, upgraded: 'map/2', signature: 'map/1' })
      expect((await readAll(again)).map(text)).toEqual(['3', '4', '5'])
      await log.notices.announce('alice', new Uint8Array(1), 60_000)
      expect(await again.notices.read()).toHaveLength(1)
    })

    test('is the same if nobody followed, as long as the log begins where it began', async () => {
      await using scene = await ForeignScene.on(nats)
      await scene.publish(...numbers(1, 5))
      const log = await scene.open()
      await log.close()
      await remove(scene)
      const again = await scene.open()
      expect(again.epoch).toBe(log.epoch)
      // An open handle would put the bucket back.
      await again.close()
      await remove(scene)
      expect((await scene.open({ from: 3 })).epoch).not.toBe(log.epoch)
    })

    test('is another if a message was deleted meanwhile: who had read it has another history', async () => {
      await using scene = await ForeignScene.on(nats)
      await scene.publish(...numbers(1, 5))
      const log = await scene.open()
      await log.close()
      await remove(scene)
      await scene.others.jsm.streams.deleteMessage('ORDERS', 3)
      expect((await scene.open()).epoch).not.toBe(log.epoch)
    })

    test('a handle whose group was made otherwise meanwhile is told', async () => {
      await using scene = await ForeignScene.on(nats)
      await scene.publish(...numbers(1, 5))
      // It does not put the bucket back in time.
      const log = await scene.open({ pollMs: 60_000 })
      await remove(scene)
      const other = await scene.open({ from: 'new' })
      await expect(log.bounds()).rejects.toMatchObject({ name: 'EpochChanged', found: other.epoch })
    })
  })

  test('a bucket that holds something else is LogUnusable', async () => {
    await using scene = await ForeignScene.on(nats)
    await scene.open()
    const [bucket] = await scene.buckets()
    const subject = `$KV.${bucket!.slice('KV_'.length)}.binding`
    for (const value of ['', '{}', '{"anchorage":2}', 'null']) {
      await scene.others.publish({ subject }, value)
      await expect(scene.open()).rejects.toThrow(LogUnusable)
    }
  })

  test("each group has a control subject of its own, and the other one's entries are commands to it", async () => {
    await using scene = await ForeignScene.on(nats)
    const log = await scene.open()
    const failure = await failureOf(scene.open({}, { group: 'another' }))
    expect(failure).toBeInstanceOf(LogMismatch)
    expect(String(failure)).toContain('a control subject of its own')
    const other = await scene.open({ control: 'orders.another' }, { group: 'another' })
    expect(other.epoch).not.toBe(log.epoch)
    await log.append([{ kind: 'control', payload: new Uint8Array(1) }])
    expect((await readAll(other))[0]).toMatchObject({ message: { subject: 'orders.anchorage' } })
  })

  test('a stream with limits is known by a newer message, when the one that it was known by is gone', async () => {
    await using scene = await ForeignScene.on(nats, { max_msgs: 3, duplicate_window: nanos(1_000) })
    const log = await scene.open({ from: 'new' })
    await scene.publish(...numbers(1, 20))
    await log.bounds()
    const again = await scene.open(undefined, init({ author: 'bob' }))
    expect(again.epoch).toBe(log.epoch)
    expect((await again.bounds()).first).toBe(18)
  })
})
