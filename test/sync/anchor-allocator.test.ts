import { beforeEach, describe, expect, test } from 'vitest'
import { AvailableSnapshots } from '../../src/snapshot/available.ts'
import { VAIN_PAUSE_MS, VAIN_PAUSE_MS_MAX } from '../../src/sync/limits.ts'
import { AnchorAllocator } from '../../src/sync/serving/anchor-allocator.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { ItemSnapshot } from '../snapshot/item-snapshot.ts'
import { StubHost } from './stub-host.ts'

const SEAL_TIMEOUT_MS = 15_000
const at = (index: number) => ({ epoch: 'e', index })

let clock: VirtualClock
let host: StubHost
let available: AvailableSnapshots
let allocator: AnchorAllocator

beforeEach(() => {
  clock = new VirtualClock()
  host = new StubHost('me')
  host.leads = 'me'
  available = new AvailableSnapshots({
    clock,
    ttlMs: 60_000,
    onEvent: (event) => {
      if (event.type === 'released') allocator.released(event.anchor, event.why)
    },
  })
  allocator = new AnchorAllocator({
    self: 'me',
    host,
    available,
    clock,
    ttlMs: 60_000,
    sealTimeoutMs: SEAL_TIMEOUT_MS,
    markersPerMinute: 3,
  })
})

/** This replica applies the marker at `index`. */
async function capture(index: number): Promise<void> {
  allocator.captured(at(index))
  available.add(at(index), new ItemSnapshot([]), { control: new Uint8Array(0), chunkBytes: 1 })
  await available.whenCut(at(index))
}

test('requests that arrive while a marker is being appended share it', async () => {
  const appended = Promise.withResolvers<void>()
  host.onAppend = () => appended.promise
  const asked = ['a', 'b', 'c'].map((who) => allocator.anchorFor(who, at(5)))
  await clock.turn()
  appended.resolve()
  expect(await Promise.all(asked)).toEqual([at(101), at(101), at(101)])
  expect(host.markers).toEqual(['a'])
})

test('requests that arrive before the marker is applied share it, too', async () => {
  await allocator.anchorFor('a', at(5))
  expect(await allocator.anchorFor('b', at(5))).toEqual(at(101))
  expect(host.markers).toEqual(['a'])
})

test('a requester that is past the pending marker gets one of its own', async () => {
  await allocator.anchorFor('a', at(5))
  expect(await allocator.anchorFor('b', at(101))).toEqual(at(102))
})

test('markers that are not applied yet count as live, also when they are asked for at once', async () => {
  const far = at(Number.MAX_SAFE_INTEGER)
  const asked = await Promise.allSettled(['a', 'b', 'c', 'd'].map((who) => allocator.anchorFor(who, far)))
  expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
  await expect(allocator.anchorFor('e', far)).rejects.toMatchObject({ name: 'Busy' })
  expect(host.markers).toHaveLength(3)
})

test('an append that fails is told to all who wait for it, and tried anew by the next', async () => {
  host.onAppend = () => Promise.reject(new Error('the log is locked'))
  const asked = ['a', 'b'].map((who) => allocator.anchorFor(who, at(5)))
  for (const each of asked) await expect(each).rejects.toThrow('the log is locked')
  host.onAppend = async () => {}
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(102))
})

test('a marker that is never applied is given up after the seal timeout', async () => {
  await allocator.anchorFor('a', at(5))
  clock.advance(SEAL_TIMEOUT_MS - 1)
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(101))
  clock.advance(1)
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(102))
})

test('the newest live offer that fits is named', async () => {
  await capture(101)
  await capture(105)
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(105))
  available.withdraw(at(105))
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(101))
  expect(host.markers).toEqual([])
})

test('an offer whose place in the log was pruned does not fit', async () => {
  await capture(90)
  host.first = 91
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(101))
})

test('an offer that is not sealed in time does not fit any more; one that is, does', async () => {
  await capture(90)
  await capture(91)
  allocator.sealed(at(90))
  clock.advance(SEAL_TIMEOUT_MS)
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(90))
})

test.each<[which: string, waste: () => void]>([
  [
    'were pruned',
    () => {
      host.first = 93
    },
  ],
  ['were never sealed', () => clock.advance(SEAL_TIMEOUT_MS)],
  [
    'can never be sealed, since their electors have left',
    () => [90, 91, 92].forEach((n) => void host.unsealable.add(n)),
  ],
  ['nobody makes progress with', () => [90, 91, 92].forEach((n) => void host.stalled.add(n))],
])('anchors that %s are no reason to be busy', async (_which, waste) => {
  for (const index of [90, 91, 92]) await capture(index)
  await expect(allocator.anchorFor('a', at(95))).rejects.toMatchObject({ name: 'Busy' })
  waste()
  expect(await allocator.anchorFor('a', at(95))).toEqual(at(101))
})

test('an anchor that is offered again after it expired has to be sealed again', async () => {
  await capture(90)
  allocator.sealed(at(90))
  available.withdraw()
  await capture(90)
  clock.advance(SEAL_TIMEOUT_MS)
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(101))
})

test('a disputed anchor is never named again, whether its marker was captured or not', async () => {
  await allocator.anchorFor('a', at(5))
  await capture(101)
  await capture(102)
  allocator.disputed(at(102))
  available.withdraw(at(102))
  expect(await allocator.anchorFor('b', at(5))).toEqual(at(101))
  allocator.disputed(at(101))
  available.withdraw(at(101))
  clock.advance(VAIN_PAUSE_MS)
  expect(await allocator.anchorFor('b', at(5))).toEqual(at(102))
  // Nobody captured that one: it was applied too late.
  allocator.disputed(at(102))
  await clock.turn()
  expect(await allocator.anchorFor('b', at(5))).toEqual(at(103))
})

test('an anchor that is released while it is being looked at is not named', async () => {
  await capture(90)
  host.onLook = () => available.withdraw(at(90))
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(101))
})

test('a seal is not remembered for an anchor that is not held', async () => {
  allocator.sealed(at(90))
  await capture(90)
  clock.advance(SEAL_TIMEOUT_MS)
  expect(await allocator.anchorFor('a', at(5))).toEqual(at(101))
})

describe('a marker that came to nothing', () => {
  /** This replica applies the marker at `index`, and cannot cut its state. */
  const failAt = async (index: number) => {
    const broken = {
      size: 1,
      items(): Iterable<Uint8Array> {
        throw new Error('an item is beyond the limit')
      },
      release() {},
    }
    allocator.captured(at(index))
    available.add(at(index), broken, { control: new Uint8Array(0), chunkBytes: 1 })
    await available.whenCut(at(index))?.catch(() => {})
  }
  const ways: [what: string, waste: (index: number) => Promise<void>, maxMs: number, refusal: object][] = [
    [
      'the state cannot be cut',
      failAt,
      VAIN_PAUSE_MS_MAX,
      { name: 'CutFailed', message: /an item is beyond the limit/ },
    ],
    [
      'it is disputed',
      async (index) => {
        allocator.disputed(at(index))
        await clock.turn()
      },
      SEAL_TIMEOUT_MS / 2,
      { name: 'Busy', message: /the group does not agree/ },
    ],
  ]

  test.each(ways)(
    'because %s: no other follows for a second, and then for twice as long each time',
    async (_what, waste, maxMs, expected) => {
      const { name, message } = expected as { name: string; message: RegExp }
      for (let n = 0, pauseMs = VAIN_PAUSE_MS; n < 7; n++, pauseMs *= 2) {
        // This replica's own checkpoints are no exception.
        const who = n % 2 === 0 ? 'me' : 'a'
        const { index } = await allocator.anchorFor(who, at(host.newest))
        await waste(index)
        clock.advance(Math.min(pauseMs, maxMs) - 1)
        const refusal = await allocator.anchorFor(who, at(host.newest)).catch((error: Error) => error)
        expect([(refusal as Error).name, (refusal as Error).message]).toEqual([
          name,
          expect.stringMatching(message),
        ])
        clock.advance(1)
      }
      expect(host.markers).toHaveLength(7)
    },
  )

  test.each(ways)('because %s: the others who agree on one end the pause', async (_what, waste) => {
    const { index } = await allocator.anchorFor('a', at(5))
    await waste(index)
    allocator.sealed(at(index - 1))
    await expect(allocator.anchorFor('a', at(index))).rejects.toThrow()
    allocator.sealed(at(index))
    expect(await allocator.anchorFor('a', at(index))).toEqual(at(index + 1))
  })

  test.each(ways)('because %s: what is offered still is named', async (_what, waste) => {
    await capture(101)
    await waste(102)
    expect(await allocator.anchorFor('a', at(5))).toEqual(at(101))
  })
})

test('who does not lead names who does', async () => {
  host.leads = 'other'
  await expect(allocator.anchorFor('a', at(5))).rejects.toMatchObject({ name: 'NotLeader', leader: 'other' })
})

test('markers for one requester are limited within a minute; for others, and for this replica itself, they are not', async () => {
  const ask = async (who: string) => {
    allocator.captured(await allocator.anchorFor(who, at(host.newest)))
    await clock.turn()
  }
  for (let n = 0; n < 3; n++) await ask('a')
  clock.advance(20_000)
  await expect(ask('a')).rejects.toMatchObject({ name: 'Busy', retryMs: 40_000 })
  await ask('b')
  for (let n = 0; n < 5; n++) await ask('me')
  clock.advance(40_000)
  await ask('a')
  expect(host.markers).toEqual(['a', 'a', 'a', 'b', 'me', 'me', 'me', 'me', 'me', 'a'])
})

describe('an offer that the followers', () => {
  /** Followers that have applied everything, and what each announces of its offers. */
  const followers = (...offers: (readonly [anchor: number, remainingMs: number])[][]) => {
    for (const [n, own] of offers.entries()) {
      const told = own.map(([anchor, remainingMs]) => ({ anchor, remainingMs }))
      host.announce({ id: `f${n}`, addresses: [], serves: true, applied: 100, offers: told })
    }
  }

  test.each<[what: string, offers: (readonly [number, number])[][], named: number]>([
    ['make too, is named', [[[90, 5000]], [[90, 5000]]], 90],
    ['have let expire, is not: a new marker brings more providers', [[], []], 101],
    ['are about to let expire, is not', [[[90, 900]], [[90, 5000]]], 101],
    ['make, two of many, is named', [[[90, 5000]], [[90, 5000]], [], []], 90],
    ['cannot have made, since there are none, is named', [], 90],
  ])('%s', async (_what, offers, named) => {
    await capture(90)
    followers(...offers)
    expect(await allocator.anchorFor('a', at(5))).toEqual(at(named))
  })

  test('have not come to yet, is named', async () => {
    await capture(90)
    host.announce({ id: 'f', addresses: [], serves: true, applied: 89, offers: [] })
    expect(await allocator.anchorFor('a', at(5))).toEqual(at(90))
  })

  test('have let expire is named all the same where no new marker is to be had', async () => {
    await capture(90)
    for (const index of [91, 92]) await capture(index)
    followers([], [])
    expect(await allocator.anchorFor('a', at(5))).toEqual(at(92))
    expect(host.markers).toEqual([])
  })
})

describe('an anchor that nobody uses', () => {
  const past = at(100)
  beforeEach(async () => {
    for (const index of [90, 91]) {
      await capture(index)
      allocator.sealed(at(index))
    }
  })

  test('makes room for a new one once whoever asked for it has had time to come', async () => {
    clock.advance(2_000)
    expect(await allocator.anchorFor('a', past)).toEqual(at(101))
    expect(host.retired).toEqual([90])
    // It is not named any more, though the marker is not applied yet.
    available.withdraw(at(91))
    expect(await allocator.anchorFor('b', at(5))).toEqual(at(101))
  })

  test('stays while it may be fetched yet, and a third one is made beside it', async () => {
    clock.advance(1_000)
    expect(await allocator.anchorFor('a', past)).toEqual(at(101))
    expect(host.retired).toEqual([])
  })

  test('has more time once it was named again', async () => {
    clock.advance(1_400)
    await allocator.anchorFor('a', at(90))
    clock.advance(200)
    await allocator.anchorFor('b', past)
    expect(host.retired).toEqual([90])
  })

  test('is another than one that somebody pins, or reads', async () => {
    host.announce({ id: 'j', addresses: [], serves: false, applied: 0, needs: 90 })
    const end = available.use(at(91))
    clock.advance(2_000)
    expect(await allocator.anchorFor('a', past)).toEqual(at(101))
    await capture(101)
    allocator.sealed(at(101))
    await expect(allocator.anchorFor('b', at(101))).rejects.toMatchObject({ name: 'Busy' })
    clock.advance(1_500)
    expect(await allocator.anchorFor('b', at(101))).toEqual(at(102))
    expect(host.retired).toEqual([101])
    end()
  })

  test('is one that somebody pins and makes no progress with, too', async () => {
    host.announce({ id: 'j', addresses: [], serves: false, applied: 0, needs: 90 })
    clock.advance(2_000)
    host.stalled.add(90)
    await allocator.anchorFor('a', past)
    expect(host.retired).toEqual([])
    // It does not count at all.
    await capture(101)
    allocator.sealed(at(101))
    expect(await allocator.anchorFor('b', at(101))).toEqual(at(102))
    expect(host.retired).toEqual([91])
  })
})
