import { beforeEach, describe, expect, test } from 'vitest'
import { AnchorProgress } from '../../src/group/anchor-progress.ts'
import type { Announcement } from '../../src/group/announcement.ts'
import type { Member } from '../../src/group/membership.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const TTL_MS = 10_000
const SEAL_TIMEOUT_MS = 12_000
/** What a link of 0.3 MB/s sends in a second. */
const SLOW_LINK_BYTES = 300_000

let clock: VirtualClock
let progress: AnchorProgress
let open: Set<number>
let connected: boolean
const members = new Map<string, Member>()

beforeEach(() => {
  clock = new VirtualClock()
  open = new Set()
  connected = true
  members.clear()
  progress = new AnchorProgress({
    clock,
    ttlMs: TTL_MS,
    sealTimeoutMs: SEAL_TIMEOUT_MS,
    leaseMs: 5_000,
    log: {
      get connection() {
        return { connected }
      },
    },
    group: { seal: (anchor) => (open.has(anchor) ? { state: 'open' } : undefined) },
  })
})

const NOBODY: Announcement = {
  epoch: 'e',
  addresses: [],
  state: 'in-sync',
  applied: 100,
  leads: 0,
  offers: [],
  needs: 0,
  checkpoint: 0,
}

function say(id: string, changes: Partial<Announcement>): Member {
  const member = { ...NOBODY, ...changes, id, announcedAtMs: clock.now(), untilMs: clock.now() + TTL_MS }
  members.set(id, member)
  return member
}

const offer = (anchor: number, servedBytes: number, ready = true) => ({
  anchor,
  remainingMs: TTL_MS,
  ready,
  servedBytes,
})

/** Let seconds pass, in each of which everybody is heard. */
function pass(seconds: number, each: (second: number) => void = () => {}): void {
  for (let second = 1; second <= seconds; second++) {
    clock.advance(1_000)
    each(second)
    progress.observe([...members.values()])
  }
}

describe('an anchor', () => {
  test('without a fetch stalls after one and a half TTLs', () => {
    say('f', { offers: [offer(50, 0)] })
    say('j', { state: 'catching-up', applied: 0, needs: 50 })
    pass(15)
    expect(progress.hasStalled(50)).toBe(false)
    pass(2)
    expect(progress.hasStalled(50)).toBe(true)
    expect(progress.holds(members.get('j')!)).toBe(false)
  })

  test('that is fetched at 6 kB/s stalls, too', () => {
    say('f', { offers: [offer(50, 0)] })
    pass(17, (second) => say('f', { offers: [offer(50, second * 6_000)] }))
    expect(progress.hasStalled(50)).toBe(true)
  })

  test('that was fetched fast at first and then trickles stalls one and a half TTLs later', () => {
    pass(5, (second) => say('f', { offers: [offer(50, second * 10_000_000)] }))
    pass(17, (second) => say('f', { offers: [offer(50, 50_000_000 + second * 6_000)] }))
    expect(progress.hasStalled(50)).toBe(true)
  })

  test('that is fetched over a slow link never stalls, for any number of providers that share it', () => {
    const providers = ['a', 'b', 'c', 'd', 'e', 'f']
    pass(600, (second) => {
      for (const id of providers) {
        say(id, { offers: [offer(50, (second * SLOW_LINK_BYTES) / providers.length)] })
      }
    })
    expect(progress.hasStalled(50)).toBe(false)
  })

  test('whose providers were restarted, and count anew, is measured by what came since', () => {
    pass(100, (second) => say('f', { offers: [offer(50, (second % 20) * SLOW_LINK_BYTES)] }))
    expect(progress.hasStalled(50)).toBe(false)
  })

  test('that is still being cut, or not sealed yet, has time', () => {
    pass(20, () => say('f', { offers: [offer(50, 0, false)] }))
    expect(progress.hasStalled(50)).toBe(false)
    open.add(60)
    say('f', { offers: [offer(60, 0)] })
    pass(12)
    open.delete(60)
    pass(14)
    expect(progress.hasStalled(60)).toBe(false)
    pass(2)
    expect(progress.hasStalled(60)).toBe(true)
  })

  test('that is never sealed has no more time than a seal has', () => {
    open.add(50)
    say('f', { offers: [offer(50, 0)] })
    pass(SEAL_TIMEOUT_MS / 1_000 + 17)
    expect(progress.hasStalled(50)).toBe(true)
  })

  test('that no member names any more is forgotten after a while', () => {
    say('f', { offers: [offer(50, 0)] })
    pass(20)
    say('f', { offers: [] })
    pass(70)
    expect(progress.hasStalled(50)).toBe(false)
  })

  test('that is never cut to its end has no more time than a seal has', () => {
    pass(SEAL_TIMEOUT_MS / 1_000 + 17, () => say('f', { offers: [offer(50, 0, false)] }))
    expect(progress.hasStalled(50)).toBe(true)
  })

  test('makes progress for ten minutes while a joiner builds in chunks that it has already', () => {
    say('f', { offers: [offer(50, 0)] })
    const build = (second: number) =>
      say('j', { state: 'catching-up', applied: 0, needs: 50, receivedBytes: second * 10_000_000 })
    pass(590, build)
    expect(progress.hasStalled(50)).toBe(false)
    pass(40, (second) => build(600 + second))
    expect(progress.hasStalled(50)).toBe(true)
  })

  test('does not stall while nothing can be announced, and has its full time after that', () => {
    say('f', { offers: [offer(50, 0)] })
    pass(10)
    connected = false
    pass(60)
    expect(progress.hasStalled(50)).toBe(false)
    connected = true
    progress.reconnected()
    pass(14)
    expect(progress.hasStalled(50)).toBe(false)
    pass(2)
    expect(progress.hasStalled(50)).toBe(true)
  })

  test('that two members pin in turns stalls as with one member', () => {
    say('f', { offers: [offer(50, 0), offer(60, 0)] })
    pass(40, (second) => say('j', { state: 'catching-up', applied: 0, needs: second % 2 === 0 ? 50 : 60 }))
    expect([progress.hasStalled(50), progress.hasStalled(60)]).toEqual([true, true])
  })
})

describe('the pin of a member that has installed its anchor', () => {
  test('holds while the log is applied after it', () => {
    pass(100, (second) => say('j', { state: 'following', needs: 50, applied: 50 + second }))
    expect(progress.holds(members.get('j')!)).toBe(true)
  })

  test('does not hold when the announced position goes back and forth', () => {
    pass(20, (second) => say('j', { state: 'following', needs: 50, applied: 60 - (second % 2) }))
    expect(progress.holds(members.get('j')!)).toBe(false)
  })

  test('does not hold one and a half TTLs after that stopped', () => {
    say('j', { state: 'following', needs: 50, applied: 60 })
    pass(15)
    expect(progress.holds(members.get('j')!)).toBe(true)
    pass(2)
    expect(progress.holds(members.get('j')!)).toBe(false)
  })
})
