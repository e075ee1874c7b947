import { setImmediate as nextTurn } from 'node:timers/promises'
import { Seal } from '../../src/group/seal.ts'
import type { Snapshot } from '../../src/machine/machine.ts'
import type { Position } from '../../src/position.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import type { ChunkCoder } from '../../src/snapshot/encoding.ts'
import type { StateBuilder } from '../../src/snapshot/state-builder.ts'
import { Disputed } from '../../src/sync/errors.ts'
import type { SyncEvent } from '../../src/sync/events.ts'
import type { CaughtUp } from '../../src/sync/fetching/session-state.ts'
import type { SyncHost, SyncMember } from '../../src/sync/host.ts'
import { SnapshotSync } from '../../src/sync/snapshot-sync.ts'
import type { ByteStream } from '../../src/sync/wire/frames.ts'
import type { Clock } from '../../src/time/clock.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { ItemSnapshot } from '../snapshot/item-snapshot.ts'
import { rawCoder } from '../snapshot/raw-coder.ts'
import { MemoryChunks } from './memory-chunks.ts'
import { MemoryNetwork } from './memory-network.ts'

export const EPOCH = 'e'
export const TTL_MS = 10_000
export const REQUEST_TIMEOUT_MS = 15_000
export const FETCH_TIMEOUT_MS = 5_000

export const at = (index: number): Position => ({ epoch: EPOCH, index })

/** A group without a log: real snapshot sync on every replica, over a network in memory, under a virtual clock. */
export class SyncGroup {
  readonly clock = new VirtualClock()
  readonly network = new MemoryNetwork()
  readonly replicas = new Map<string, SyncReplica>()
  readonly seals = new Map<number, Seal>()
  /** Everyone who hears of a new seal, or of a dispute. */
  readonly onSealed = new Set<() => void>()
  leader: string | undefined
  /** The newest entry, and the first that can still be read. */
  newest = 100
  first = 50
  /** What replicas take for chance. */
  random: () => number = () => 0
  /** False: markers are appended, and nobody attests. */
  attests = true

  /** Add replicas with the same items. */
  add(ids: readonly string[], items: readonly Uint8Array[], chunkBytes = 1): SyncReplica[] {
    return ids.map((id) => {
      const replica = new SyncReplica(this, id, items, chunkBytes)
      this.replicas.set(id, replica)
      return replica
    })
  }

  /** Every replica that holds a state applies a marker, and attests what it has. */
  mark(requester: string, index = ++this.newest): Position {
    const holders = [...this.replicas.values()].filter(({ serves }) => serves)
    this.seals.set(index, new Seal(holders.map(({ id }) => id)))
    for (const holder of holders) holder.capture(index, requester)
    return at(index)
  }

  attest(index: number, author: string, root: Uint8Array): void {
    if (!this.attests) return
    const change = this.seals.get(index)?.attest(author, root)
    if (change !== 'sealed' && change !== 'disputed') return
    for (const replica of this.replicas.values()) replica.sync[change](at(index))
    for (const listener of this.onSealed) listener()
  }

  /** Move time until `work` settles. Fails when it has not after ten minutes of the clock. */
  async until<T>(work: Promise<T>): Promise<T> {
    let settled = false
    const settle = () => {
      settled = true
    }
    work.then(settle, settle)
    for (let passedMs = 0; !settled; passedMs += 50) {
      if (passedMs > 600_000) throw new Error('it has not settled within ten minutes')
      for (let n = 0; n < 3 && !settled; n++) await nextTurn()
      if (!settled) this.clock.advance(50)
    }
    return await work
  }

  /** Let time pass, with room between the steps for what is under way. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 50) {
      this.clock.advance(Math.min(50, left))
      for (let n = 0; n < 3; n++) await nextTurn()
    }
  }
}

export class SyncReplica {
  readonly id: string
  readonly events: SyncEvent[] = []
  readonly sync: SnapshotSync
  readonly store = new MemoryChunks()
  readonly host: SyncHost
  /** What this replica holds, or has installed. */
  items: readonly Uint8Array[]
  /** It follows the log, and is asked for offers. */
  serves = true
  /** The anchor that its announcement pins, and how often it announced itself. */
  pinned: Position | undefined
  announced = 0
  installs = 0
  /** Something to do before a stream is served. */
  onServe: (peer: string, stream: ByteStream) => ByteStream = (_peer, stream) => stream
  /** Told apart by what they do with an item: the default takes it as it is. */
  takeItem: (item: Uint8Array) => Uint8Array = (item) => Uint8Array.from(item)
  /** What stands for its state when it is captured. */
  makeSnapshot: (items: readonly Uint8Array[]) => Snapshot = (items) => new ItemSnapshot(items)
  /** How it decodes what it fetches. */
  decode: ChunkCoder['decode'] = rawCoder.decode
  /** What its work in slices waits for at each rest. */
  onRest: () => Promise<void> = async () => {}
  readonly #group: SyncGroup
  readonly #chunkBytes: number

  constructor(group: SyncGroup, id: string, items: readonly Uint8Array[], chunkBytes: number) {
    this.id = id
    this.items = items
    this.#group = group
    this.#chunkBytes = chunkBytes
    const network = group.network.join(id)
    this.host = this.#makeHost()
    this.sync = new SnapshotSync(
      {
        host: this.host,
        clock: this.#makeClock(),
        ttlMs: TTL_MS,
        requestTimeoutMs: REQUEST_TIMEOUT_MS,
        fetchTimeoutMs: FETCH_TIMEOUT_MS,
        coder: { encode: rawCoder.encode, decode: (chunk, rawBytes) => this.decode(chunk, rawBytes) },
        store: this.store,
        random: () => this.#group.random(),
        onEvent: (event) => this.events.push(event),
      },
      network,
    )
    network.serveWith((peer, stream) => this.sync.serve(peer, this.onServe(peer, stream)))
  }

  get offered(): number[] {
    return this.sync.offers.map(({ anchor }) => anchor.index)
  }

  capture(index: number, requester: string): void {
    const snapshot = this.makeSnapshot(this.items)
    const requesters = [requester]
    this.sync.captured(at(index), snapshot, {
      control: new Uint8Array(0),
      chunkBytes: this.#chunkBytes,
      requesters,
    })
    this.sync
      .whenCut(at(index))!
      .then(({ root }) => this.#group.attest(index, this.id, root))
      .catch(() => {})
  }

  /** Catch up as one that holds nothing. */
  catchUp(options: { position?: Position; signal?: AbortSignal } = {}): Promise<CaughtUp> {
    this.serves = false
    const { position = at(0), signal = new AbortController().signal } = options
    return this.sync.catchUp({ position, signal })
  }

  /** The states of its session, without repetitions. */
  get states(): string[] {
    const all = this.events.flatMap((event) => (event.type === 'session' ? [event.state.status] : []))
    return all.filter((status, n) => status !== all[n - 1])
  }

  /** Why the anchors it lost were gone. */
  get lost(): string[] {
    return this.events.flatMap((event) => (event.type === 'anchor-lost' ? [event.error.message] : []))
  }

  /** What peers did wrong, as its session saw it. */
  get faults(): { peer: string; error: Error }[] {
    return this.events.flatMap((event) =>
      event.type === 'fault' ? [{ peer: event.peer, error: event.error }] : [],
    )
  }

  /** How many chunks it sent. */
  get served(): number {
    return this.events.filter(({ type }) => type === 'served').length
  }

  #makeClock(): Clock {
    const { clock } = this.#group
    return {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      schedule: (delayMs, callback) => clock.schedule(delayMs, callback),
      turn: async () => {
        await Promise.all([this.onRest(), clock.turn()])
      },
    }
  }

  #makeHost(): SyncHost {
    const group = this.#group
    return {
      group: 'g',
      signature: 's',
      epoch: EPOCH,
      leader: () => group.leader,
      members: (): SyncMember[] =>
        [...group.replicas.values()].map(({ id, serves }) => ({
          id,
          addresses: [],
          serves,
          applied: group.newest,
        })),
      refreshMembers: async () => {},
      appendMarker: async (requester) => group.mark(requester),
      isReadable: async ({ index }) => index >= group.first,
      sealedRoot: (anchor, signal) =>
        new Promise((resolve, reject) => {
          const look = () => {
            const seal = group.seals.get(anchor.index)
            if (seal === undefined || seal.state === 'open') return
            group.onSealed.delete(look)
            if (seal.root !== undefined) resolve(seal.root)
            else reject(new Disputed(anchor, seal.attestations))
          }
          group.onSealed.add(look)
          signal.addEventListener('abort', () => {
            group.onSealed.delete(look)
            reject(signal.reason)
          })
          look()
        }),
      pin: async (anchor) => {
        this.pinned = anchor
        this.announced++
      },
      ownState: () =>
        this.items.length === 0
          ? undefined
          : { snapshot: this.makeSnapshot(this.items), chunkBytes: this.#chunkBytes },
      beginInstall: () => this.#beginInstall(),
    }
  }

  #beginInstall(): StateBuilder {
    const items: Uint8Array[] = []
    return {
      add: async (chunk, count) => {
        for (const item of itemsOf(chunk, count)) items.push(this.takeItem(item))
      },
      commit: () => {
        this.items = items
        this.installs++
        this.serves = true
      },
    }
  }
}

/** A group of which a leader and two followers hold the items, and a joiner holds none. */
export function groupWithJoiner(items: readonly Uint8Array[]): {
  group: SyncGroup
  leader: SyncReplica
  followers: SyncReplica[]
  joiner: SyncReplica
} {
  const group = new SyncGroup()
  const [leader, ...followers] = group.add(['l', 'f1', 'f2'], items)
  group.leader = 'l'
  const [joiner] = group.add(['j'], [])
  return { group, leader: leader!, followers, joiner: joiner! }
}
