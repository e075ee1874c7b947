import { setImmediate as nextTurn } from 'node:timers/promises'
import { beforeEach, describe, expect, test } from 'vitest'
import { Wakeup } from '../../src/sync/fetching/wakeup.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { numberedItems } from '../snapshot/item-snapshot.ts'
import { at, SyncGroup, type SyncReplica } from './sync-group.ts'

describe('a loop', () => {
  let clock: VirtualClock
  let stop: AbortController
  let wakeup: Wakeup

  beforeEach(() => {
    clock = new VirtualClock()
    stop = new AbortController()
    wakeup = new Wakeup(clock, stop.signal)
  })

  /** Whether a sleep has ended by now. */
  async function hasEnded(sleeping: Promise<void>): Promise<boolean> {
    let ended = false
    void sleeping.then(() => (ended = true))
    await nextTurn()
    return ended
  }

  test('sleeps for its time', async () => {
    const sleeping = wakeup.sleep(200)
    clock.advance(199)
    expect(await hasEnded(sleeping)).toBe(false)
    clock.advance(1)
    expect(await hasEnded(sleeping)).toBe(true)
  })

  test('is woken before', async () => {
    const sleeping = wakeup.sleep(200)
    wakeup.wake()
    expect(await hasEnded(sleeping)).toBe(true)
    expect(await hasEnded(wakeup.sleep(200))).toBe(false)
  })

  test('that is woken while it is busy does not sleep, once', async () => {
    wakeup.wake()
    wakeup.wake()
    expect(await hasEnded(wakeup.sleep(200))).toBe(true)
    expect(await hasEnded(wakeup.sleep(200))).toBe(false)
  })

  test('ends with the reason of its signal', async () => {
    const sleeping = wakeup.sleep(200)
    stop.abort(new Error('we are closing'))
    await expect(sleeping).rejects.toThrow('we are closing')
    await expect(wakeup.sleep(200)).rejects.toThrow('we are closing')
  })
})

describe('a session does not wait for its next poll when', () => {
  let group: SyncGroup
  let replicas: SyncReplica[]
  let joiner: SyncReplica
  /** When the joiner's session came to each state, or lost its anchor. */
  let atMs: [what: string, ms: number][]

  beforeEach(() => {
    group = new SyncGroup()
    replicas = group.add(['l', 'f1', 'f2'], numberedItems(40))
    joiner = group.add(['j'], [])[0]!
    group.leader = 'l'
    atMs = []
    const push = joiner.events.push.bind(joiner.events)
    joiner.events.push = (...events) => {
      for (const event of events) {
        if (event.type === 'session') atMs.push([event.state.status, group.clock.now()])
        if (event.type === 'anchor-lost') atMs.push(['lost', group.clock.now()])
      }
      return push(...events)
    }
  })

  const lastMs = (what: string) => atMs.findLast(([status]) => status === what)?.[1]

  test('a member comes that offers a snapshot', async () => {
    let changed = () => {}
    joiner.host.onMembersChanged = (listener) => {
      changed = listener
      return () => {}
    }
    group.leader = undefined
    group.mark('somebody')
    for (const replica of replicas) replica.serves = false
    const catching = joiner.catchUp()
    // It has just looked at the members, and found nobody.
    await group.pass(1000)
    expect(lastMs('choosing')).toBeUndefined()
    for (const replica of replicas) replica.serves = true
    changed()
    for (let n = 0; n < 10; n++) await nextTurn()
    expect(lastMs('choosing')).toBe(1000)
    await group.until(catching)
  })

  test('and it listens to the members no longer than it lives', async () => {
    let listeners = 0
    joiner.host.onMembersChanged = () => {
      listeners++
      return () => listeners--
    }
    await group.until(joiner.catchUp())
    expect(listeners).toBe(0)
    const signal = AbortSignal.abort(new Error('too late'))
    await expect(joiner.sync.catchUp({ position: at(0), signal })).rejects.toThrow('too late')
    expect(listeners).toBe(0)
  })

  test('all have said what they offer in place of a leader that cannot be reached', async () => {
    group.mark('somebody')
    await group.pass(100)
    group.network.kill('l')
    const report = await group.until(joiner.catchUp())
    expect(report).toMatchObject({ anchor: at(101), phasesMs: { request: 0 } })
  })

  test('the last chunk is there and the root is not sealed', async () => {
    group.attests = false
    const catching = joiner.catchUp()
    catching.catch(() => {})
    await group.pass(1000)
    expect(lastMs('verifying')).toBe(lastMs('fetching'))
    group.attests = true
    for (const { id, sync } of replicas) group.attest(101, id, (await sync.whenCut(at(101))!).root)
    const sealedMs = group.clock.now()
    await group.until(catching)
    expect([lastMs('installing'), lastMs('done')]).toEqual([sealedMs, sealedMs])
  })

  test('the last provider has left, and nobody else offers the anchor', async () => {
    let withdrawnMs: number | undefined
    let served = 0
    for (const { events } of replicas) {
      const push = events.push.bind(events)
      events.push = (...added) => {
        for (const { type } of added) {
          if (type !== 'served' || ++served !== 3) continue
          withdrawnMs = group.clock.now()
          for (const { sync } of replicas) sync.withdraw()
        }
        return push(...added)
      }
    }
    await group.until(joiner.catchUp())
    expect(lastMs('lost')).toBe(withdrawnMs)
  })
})
