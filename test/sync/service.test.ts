import { serviceCapabilities } from '@libp2p/interface'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  EPOCH_BYTES_MAX,
  FETCH_TIMEOUT_MS_MIN,
  GROUP_BYTES_MAX,
  REQUEST_TIMEOUT_MS_MIN,
  SIGNATURE_BYTES_MAX,
  TIMER_MS_MAX,
  TTL_MS_MIN,
} from '../../src/bounds.ts'
import {
  type CapturedInit,
  itemsOf,
  type Libp2pSnapshotSyncInit,
  type SnapshotSyncComponents,
  type SnapshotSyncService,
  type SyncEvent,
  snapshotSync,
  systemClock,
  zstdCoder,
} from '../../src/sync/index.ts'
import { PROTOCOL_PREFIX_BYTES_MAX } from '../../src/sync/limits.ts'
import { keptLogger } from '../logging/kept-logger.ts'
import { ItemSnapshot, numberedItems } from '../snapshot/item-snapshot.ts'
import { MemoryChunks } from './memory-chunks.ts'
import { StubHost } from './stub-host.ts'

type Options = Partial<Record<keyof Libp2pSnapshotSyncInit, unknown>>

const ANCHOR = { epoch: 'e', index: 7 }
const CAPTURED: CapturedInit = { control: Buffer.from('c'), chunkBytes: 50, requesters: [] }

/** As a program in JavaScript gives them. */
const give = (options: Options) =>
  snapshotSync({ host: new StubHost('me'), ...options } as Libp2pSnapshotSyncInit)
const giveHost = (change: object) => give({ host: Object.assign(new StubHost('me'), change) })

describe('options are checked where they are given, before there is a node', () => {
  test.each<[string, number, number]>([
    ['ttlMs', TTL_MS_MIN, TIMER_MS_MAX],
    ['requestTimeoutMs', REQUEST_TIMEOUT_MS_MIN, TIMER_MS_MAX],
    ['fetchTimeoutMs', FETCH_TIMEOUT_MS_MIN, TIMER_MS_MAX],
  ])('%s from %d to %d ms', (name, min, max) => {
    for (const ms of [min, max]) give({ [name]: ms })
    for (const ms of [min - 1, max + 1, Number.NaN, String(min)]) {
      expect(() => give({ [name]: ms })).toThrow(RangeError)
      expect(() => give({ [name]: ms })).toThrow(`; give milliseconds from ${min} to ${max}`)
    }
  })

  test.each([
    ['streamsPerPeer', 2],
    ['requestsPerPeer', 1],
    ['sessions', 1],
    ['sendingBytes', 1],
    ['markersPerMinute', 1],
  ])('limits.%s from %d', (name, min) => {
    for (const limit of [min, Number.MAX_SAFE_INTEGER]) give({ limits: { [name]: limit } })
    for (const limit of [min - 1, min + 0.5, Number.MAX_SAFE_INTEGER + 1, Number.POSITIVE_INFINITY]) {
      expect(() => give({ limits: { [name]: limit } })).toThrow(`; give an integer from ${min}`)
    }
  })

  test.each([
    ['group', GROUP_BYTES_MAX],
    ['signature', SIGNATURE_BYTES_MAX],
    ['epoch', EPOCH_BYTES_MAX],
  ])('host.%s of 1 to %d bytes', (name, max) => {
    for (const bytes of [1, max]) giveHost({ [name]: 'x'.repeat(bytes) })
    for (const bytes of [0, max + 1]) {
      expect(() => giveHost({ [name]: 'x'.repeat(bytes) })).toThrow(
        `host.${name} has ${bytes} bytes of UTF-8`,
      )
    }
  })

  test('protocolPrefix of 1 to 255 bytes', () => {
    for (const bytes of [1, PROTOCOL_PREFIX_BYTES_MAX]) give({ protocolPrefix: 'p'.repeat(bytes) })
    for (const bytes of [0, PROTOCOL_PREFIX_BYTES_MAX + 1]) {
      expect(() => give({ protocolPrefix: 'p'.repeat(bytes) })).toThrow(`protocolPrefix has ${bytes} bytes`)
    }
  })

  test('objects of the host’s own that can be called', () => {
    const noop = () => {}
    give({ coder: zstdCoder, store: new MemoryChunks(), clock: systemClock, random: Math.random })
    give({ authorize: () => true, onEvent: noop })
    const wrong: [Options, string][] = [
      [{ host: undefined }, 'host is undefined; give an object with leader, members, '],
      [{ host: 'me' }, 'host is "me"; give an object with leader'],
      [{ coder: { encode: noop } }, 'coder.decode is undefined; give a function'],
      [{ store: new Map() }, 'store.read is undefined; give a function'],
      [{ clock: { now: noop } }, 'clock.wallNow is undefined; give a function'],
      [{ random: 0.5 }, 'random is 0.5; give a function'],
      [{ authorize: 'everybody' }, 'authorize is "everybody"; give a function'],
      [{ onEvent: [] }, 'onEvent is a list; give a function'],
      [{ limits: { stream: 1 } }, 'limits.stream is not known; give one of streamsPerPeer, '],
    ]
    for (const [options, message] of wrong) expect(() => give(options)).toThrow(message)
  })

  test('a host without one of its methods, or with something else in its place', () => {
    for (const name of ['leader', 'members', 'refreshMembers', 'appendMarker', 'isReadable', 'sealedRoot']) {
      expect(() => giveHost({ [name]: undefined })).toThrow(`host.${name} is undefined; give a function`)
    }
    for (const name of ['onMembersChanged', 'mayBeSealed', 'hasStalled', 'ownState']) {
      giveHost({ [name]: undefined })
      expect(() => giveHost({ [name]: true })).toThrow(`host.${name} is true; give a function`)
    }
  })
})

describe('a service', () => {
  let service: SnapshotSyncService
  let told: SyncEvent[]
  let lines: string[]
  let handlers: string[]

  /** Of a node, as far as a service that is dialled by nobody needs it. */
  function components(logger: boolean): SnapshotSyncComponents {
    return {
      peerId: { toString: () => 'me' },
      registrar: {
        handle: async (protocol: string) => handlers.push(protocol),
        unhandle: async () => handlers.pop(),
      },
      ...(logger && { logger: keptLogger((name, _level, line) => lines.push(`${name} ${line}`)) }),
    } as unknown as SnapshotSyncComponents
  }
  const make = (options: Options = {}, logger = true) => give(options)(components(logger))

  beforeEach(() => {
    told = []
    lines = []
    handlers = []
    service = make({ onEvent: (event: SyncEvent) => told.push(event) })
  })

  afterEach(async () => {
    await service.stop()
  })

  test('takes its options from any object that has them, a class with getters too', async () => {
    class Options {
      readonly #host = new StubHost('me')
      get host() {
        return this.#host
      }
      onEvent(event: SyncEvent) {
        told.push(event)
      }
    }
    const own = snapshotSync(new Options())(components(false))
    own.captured(ANCHOR, new ItemSnapshot(numberedItems(10, 50)), CAPTURED)
    expect(told.map(({ type }) => type)).toEqual(['captured'])
    own.withdraw()
    await own.stop()
  })

  test('says what it is, and what it provides, as those of libp2p do', () => {
    expect(String(service)).toBe('[object anchorage/sync]')
    expect(Reflect.get(service, serviceCapabilities)).toEqual(['anchorage/sync'])
  })

  test('answers from start to stop, and offers nothing after that', async () => {
    expect([service.isStarted(), handlers]).toEqual([false, []])
    await service.start()
    expect([service.isStarted(), handlers]).toEqual([true, ['/anchorage/sync/1.0.0']])
    service.captured(ANCHOR, new ItemSnapshot(numberedItems(10, 50)), CAPTURED)
    await service.stop()
    expect([service.isStarted(), handlers, service.offers]).toEqual([false, [], []])
  })

  test('a marker retires an anchor that is still being cut, and nobody is offered it', async () => {
    await service.start()
    service.captured(ANCHOR, new ItemSnapshot(numberedItems(10, 50)), CAPTURED)
    expect(service.offers.map(({ ready }) => ready)).toEqual([false])
    service.retire(ANCHOR)
    expect(service.offers).toEqual([])
    await service.stop()
  })

  test('its chunks can be read by a host while it holds them', async () => {
    const items = numberedItems(10, 50)
    service.captured(ANCHOR, new ItemSnapshot(items), CAPTURED)
    const manifest = await service.whenCut(ANCHOR)!
    const held = service.hold(ANCHOR)!
    service.withdraw(ANCHOR)
    expect([held.cut.manifest, service.offers, service.whyGone(ANCHOR)?.name]).toEqual([
      manifest,
      [],
      'Expired',
    ])
    const read: Uint8Array[] = []
    for (const [n, { items: count }] of manifest.chunks.entries()) {
      for (const item of itemsOf(await held.cut.raw(n), count)) read.push(Uint8Array.from(item))
    }
    expect(read).toEqual(items.map((item) => Uint8Array.from(item)))
    held.release()
    expect([service.hold(ANCHOR), service.servedBytes(ANCHOR), service.progressBytes]).toEqual([
      undefined,
      0,
      0,
    ])
  })

  test('tells its events to listeners, to onEvent, and to the node’s log', async () => {
    const heard: unknown[] = []
    service.events.addEventListener('captured', ({ detail }) => heard.push(detail))
    service.events.addEventListener('released', ({ detail }) => heard.push(detail.cause))
    await service.start()
    service.captured(ANCHOR, new ItemSnapshot(numberedItems(10, 50)), CAPTURED)
    await service.whenCut(ANCHOR)
    service.retire(ANCHOR)
    expect(heard).toEqual([{ type: 'captured', anchor: ANCHOR, items: 10 }, 'withdrawn'])
    expect(told.map(({ type }) => type)).toEqual(['captured', 'cut', 'released'])
    await service.stop()
    const of = `group=${new StubHost('me').group} replica=me`
    expect(lines).toEqual([
      'anchorage:sync started as me',
      `anchorage:snapshot captured the state event=captured anchor=7 items=10 ${of}`,
      expect.stringMatching(
        /^anchorage:snapshot cut a snapshot event=cut anchor=7 root=[0-9a-f]{64} chunks=10 bytes=\d+ tookMs=\d+ group=/,
      ),
      `anchorage:snapshot offers a snapshot no more event=released anchor=7 cause=withdrawn ${of}`,
      expect.stringContaining('anchorage:snapshot gave memory back event=freed snapshots=1 bytes='),
      'anchorage:sync stopped',
    ])
  })

  test('needs no logger, and does nothing for one that is off', async () => {
    const silent = make({}, false)
    silent.captured(ANCHOR, new ItemSnapshot(numberedItems(10, 50)), CAPTURED)
    await silent.whenCut(ANCHOR)
    await silent.stop()
    expect(lines).toEqual([])
  })

  test('a listener that throws harms nobody', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
    try {
      service.events.addEventListener('captured', () => {
        throw new Error('a bug')
      })
      service.captured(ANCHOR, new ItemSnapshot(numberedItems(10, 50)), CAPTURED)
      expect(await service.whenCut(ANCHOR)).toBeDefined()
      expect(warned).toHaveBeenCalledOnce()
    } finally {
      warned.mockRestore()
    }
  })

  test.each([
    [{ cutDelayMs: -1 }, 'cutDelayMs is -1; give milliseconds from 0'],
    [{ cutDelayMs: TIMER_MS_MAX + 1 }, 'cutDelayMs is 2147483648'],
    [{ control: 'text' }, 'control is "text"; give a Uint8Array'],
  ])('a capture with %o is refused, and is the host’s still', (change, message) => {
    const snapshot = new ItemSnapshot(numberedItems(10, 50))
    expect(() => service.captured(ANCHOR, snapshot, { ...CAPTURED, ...(change as object) })).toThrow(message)
    expect([service.offers, snapshot.released]).toEqual([[], 0])
  })
})
