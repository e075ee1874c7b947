import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sleep } from '../../src/time/clock.ts'
import { numberedItems } from '../snapshot/item-snapshot.ts'
import { hold, play, script } from './hostile-asker.ts'
import { lies, lying, withoutEnd } from './hostile-provider.ts'
import { SyncGroup, TTL_MS } from './sync-group.ts'
import { unharmed } from './unharmed.ts'

/** `FUZZ_SEED` repeats a run. */
const SEED = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31))
console.info(`FUZZ_SEED=${SEED}`)

const FRAMES = 20_000
/** Many times what it takes: nothing here hangs on the speed of the machine. */
const TIMEOUT_MS = 300_000
const GROWTH_BYTES_MAX = 8 * 1024 * 1024
/** Members that lie to a session. Whoever is proven to is asked no more, so it takes many. */
const LIARS = 40
/** One of them leads when a session begins. Nobody but a leader names an anchor: after so long another leads. */
const LIAR_LEADS_MS = 3_000

const hex = (items: readonly Uint8Array[]) => items.map((item) => Buffer.from(item).toString('hex'))

test(
  'a provider answers whatever a member sends it, and serves an honest one after that',
  async () => {
    // All of them are more than what one stream holds of unread bytes.
    const items = numberedItems(40, 4096)
    const group = new SyncGroup()
    const providers = group.add(['l', 'f'], items)
    group.leader = 'l'
    const [joiner, member] = group.add(['j', 'm'], [])
    joiner!.serves = false
    member!.serves = false
    const hostile = group.network.join('m')
    const release = await hold(group)

    let frames = 0
    const run = (seed: number, numRuns: number) =>
      fc.assert(
        fc.asyncProperty(fc.array(script, { minLength: 1, maxLength: 4, size: 'max' }), async (scripts) => {
          const read = await group.until(Promise.all(scripts.map((each) => play(group, hostile, each))))
          frames += read.reduce((sum, count) => sum + count, 0)
          await group.pass(50)
          for (const { events } of providers) events.length = 0
        }),
        { seed, numRuns, endOnFailure: true },
      )

    await run(SEED, 100)
    const growth = await unharmed(GROWTH_BYTES_MAX, async () => {
      await run(SEED + 1, 2200)
      await group.pass(2 * TTL_MS)
    })
    console.info(`${frames} frames sent to a provider; ${growth} bytes more`)
    expect(frames).toBeGreaterThanOrEqual(FRAMES)
    expect(group.network.open).toBe(0)

    release()
    const report = await group.until(joiner!.catchUp())
    expect(report.anchorsLost).toBe(0)
    expect(hex(joiner!.items)).toEqual(hex(items))
    await group.pass(2 * TTL_MS)
    expect(group.network.open).toBe(0)
    expect(providers.map(({ offered }) => offered)).toEqual([[], []])
  },
  TIMEOUT_MS,
)

test(
  'a session ends well whatever most of its providers send it, and blames nobody who is honest',
  async () => {
    const items = numberedItems(200, 64)
    const older = items.map((item, n) => (n % 20 === 10 ? Buffer.from('it was something else') : item))
    const group = new SyncGroup()
    const [honest] = group.add(['h'], items, 512)
    const liars = group.add(
      Array.from({ length: LIARS }, (_, n) => `m${n}`),
      items,
      512,
    )
    const [joiner] = group.add(['j'], [], 512)
    // It is there to the end, and slow enough that others are asked.
    honest!.onServe = (_peer, stream) => ({
      ...stream,
      send: async (bytes) => {
        await sleep(group.clock, 100)
        await stream.send(bytes)
      },
    })

    let frames = 0
    let sessions = 0
    const catchUp = async () => {
      joiner!.items = sessions++ % 2 === 0 ? older : []
      group.leader = 'm0'
      const deposing = group.clock.schedule(LIAR_LEADS_MS, () => {
        group.leader = 'h'
      })
      await group.until(joiner!.catchUp())
      deposing.cancel()
      expect(hex(joiner!.items)).toEqual(hex(items))
      expect(joiner!.faults.filter(({ peer }) => peer === 'h')).toEqual([])
      for (const { events } of group.replicas.values()) events.length = 0
    }
    const session = fc.array(lies, { minLength: LIARS, maxLength: LIARS })
    const run = (seed: number, numRuns: number) =>
      fc.assert(
        fc.asyncProperty(session, async (ofEach) => {
          for (const [n, liar] of liars.entries()) {
            const own = ofEach[n]!
            // A session gives up after a few anchors: the one that leads does not name wrong ones for ever.
            liar.onServe = lying(n === 0 ? own.values() : withoutEnd(own), () => frames++)
          }
          await catchUp()
        }),
        { seed, numRuns, endOnFailure: true },
      )

    await run(SEED, 10)
    const growth = await unharmed(GROWTH_BYTES_MAX, async () => {
      await run(SEED + 1, 500)
      await group.pass(2 * TTL_MS)
    })
    console.info(`${frames} frames sent to a session; ${growth} bytes more`)
    expect(frames).toBeGreaterThanOrEqual(FRAMES)
    expect(group.network.open).toBe(0)

    for (const liar of liars) liar.onServe = (_peer, stream) => stream
    await catchUp()
  },
  TIMEOUT_MS,
)
