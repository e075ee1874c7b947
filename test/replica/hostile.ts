import { once } from 'node:events'
import { noise } from '@chainsafe/libp2p-noise'
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import type { ConnectionManager } from '@libp2p/interface-internal'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p, type Libp2pOptions } from 'libp2p'
import type { Uint8ArrayList } from 'uint8arraylist'
import { type Announcement, encodeAnnouncement } from '../../src/group/announcement.ts'
import { type Control, encodeControl } from '../../src/group/control.ts'
import { GROUP_FORMAT } from '../../src/group/formats.ts'
import type { Log, LogBackend } from '../../src/log/log.ts'
import type { Replica } from '../../src/replica/replica.ts'
import type { SyncEvent } from '../../src/sync/events.ts'
import { byteStream } from '../../src/sync/libp2p.ts'
import { RESPONSE_BYTES_MAX } from '../../src/sync/limits.ts'
import { decodeFrames, encodeFrame, type Frame } from '../../src/sync/wire/frames.ts'
import { decodeResponse, encodeRequest, type RequestBody, type Scope } from '../../src/sync/wire/messages.ts'
import type { Answer } from '../../src/testing/simulation/hostile/lies.ts'

export const PROTOCOL = '/anchorage/sync/1.0.0'
const SCOPE: Scope = { group: 'journals', signature: 'journal/1' }
/** Longer than any test. */
const ANNOUNCED_MS = 120_000
const EVENT_WAIT_MS = 20_000
const READ_AHEAD_BYTES = 1 << 20

/**
 * A libp2p node with a key of its own that speaks the protocol by hand; what it says is the test's affair.
 */
export class HostilePeer implements AsyncDisposable {
  readonly node: Libp2p
  readonly id: string
  readonly log: Log

  private constructor(node: Libp2p, log: Log) {
    this.node = node
    this.id = node.peerId.toString()
    this.log = log
  }

  /** One that the group has not heard of. */
  static async stranger(backend: LogBackend): Promise<HostilePeer> {
    const node = await createLibp2p({
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
    })
    return new HostilePeer(node, await backend.open({ ...SCOPE, author: node.peerId.toString() }))
  }

  /** One that announced itself. It does not say that it serves, or is in sync, unless `changes` do. */
  static async member(backend: LogBackend, changes: Partial<Announcement> = {}): Promise<HostilePeer> {
    const peer = await HostilePeer.stranger(backend)
    const announcement: Announcement = {
      epoch: peer.log.epoch,
      addresses: peer.node.getMultiaddrs().map(String),
      state: 'starting',
      applied: 0,
      leads: 0,
      offers: [],
      needs: 0,
      checkpoint: 0,
      format: GROUP_FORMAT,
      ...changes,
    }
    await peer.log.notices.announce(peer.id, encodeAnnouncement(announcement), ANNOUNCED_MS)
    return peer
  }

  /** Write into the group's log, which every member can. Resolves with the index of the first. */
  async append(...controls: readonly (Control | Uint8Array)[]): Promise<number> {
    const { first } = await this.log.append(
      controls.map((control) => ({
        kind: 'control',
        payload: control instanceof Uint8Array ? control : encodeControl(control),
      })),
    )
    return first
  }

  /** The newest position of the log, whoever has written it. */
  async newest(): Promise<{ epoch: string; index: number }> {
    const { epoch, newest } = await this.log.bounds()
    return { epoch, index: newest.index }
  }

  /** A connection of its own, however many there are. */
  async connect(to: Replica<number>): Promise<Connection> {
    return await this.node.dial(to.addresses.map(multiaddr), { force: true })
  }

  /** A stream, over a connection of its own choice or the one that there is. */
  async open(to: Replica<number>, connection?: Connection): Promise<SpokenStream> {
    const over = connection ?? (await this.node.dial(to.addresses.map(multiaddr)))
    return new SpokenStream(await over.newStream(PROTOCOL))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.log.notices.withdraw(this.id)
    await this.log.close()
    await this.node.stop()
  }
}

/** A stream of the protocol whose requests and answers pass by hand. */
export class SpokenStream {
  readonly raw: Stream
  /** Resolves when the other side has ended it, or cut it off. */
  readonly over: Promise<unknown>
  readonly #frames: AsyncGenerator<Frame>
  #lastId = 0

  constructor(raw: Stream) {
    this.raw = raw
    this.over = Promise.race([once(raw, 'close'), once(raw, 'remoteCloseWrite')])
    this.#frames = decodeFrames(byteStream(raw, READ_AHEAD_BYTES).source, RESPONSE_BYTES_MAX)
  }

  /** Send a request without waiting for its answer. */
  send(body: RequestBody, scope: Partial<Scope> = {}): void {
    this.sendBytes(requestFrame(++this.#lastId, body, scope))
  }

  sendBytes(bytes: Uint8Array | Uint8ArrayList): void {
    this.raw.send(bytes)
  }

  /** The next answer; undefined when there will be none. */
  async next(): Promise<Answer | undefined> {
    const { value } = await this.#frames.next()
    if (value === undefined) return undefined
    const { header, payload } = value as Frame
    return { ...decodeResponse(header), ...(payload && { payload }) }
  }

  async ask(body: RequestBody, scope: Partial<Scope> = {}): Promise<Answer | undefined> {
    this.send(body, scope)
    return await this.next()
  }

  /** Every answer until the other side ends the stream. */
  async rest(): Promise<Answer[]> {
    const answers: Answer[] = []
    for (let answer = await this.next(); answer !== undefined; answer = await this.next())
      answers.push(answer)
    return answers
  }

  /** Read no more; the other side may notice by what it cannot send. */
  stopReading(): void {
    this.raw.pause()
  }
}

export function requestFrame(id: number, body: RequestBody, scope: Partial<Scope> = {}): Uint8ArrayList {
  return encodeFrame({ header: encodeRequest({ id, ...SCOPE, ...scope, body }) })
}

/** The name of the error that an answer is, or what else it is. */
export function gist(answer: Answer | undefined): string | undefined {
  return answer?.body.type === 'error' ? answer.body.error.name : answer?.body.type
}

/** What waits in a replica's streams of the protocol, seen from within its node. */
export class Inspector {
  #connections: ConnectionManager | undefined

  get libp2p(): Libp2pOptions {
    const inspector = (components: { connectionManager: ConnectionManager }) => {
      this.#connections = components.connectionManager
      return {}
    }
    return { services: { inspector } } as Libp2pOptions
  }

  get streams(): Stream[] {
    const connections = this.#connections?.getConnections() ?? []
    return connections.flatMap(({ streams }) => streams.filter(({ protocol }) => protocol === PROTOCOL))
  }

  /** Bytes that came and that nobody took yet. */
  get unreadBytes(): number {
    return this.streams.reduce((sum, { readBufferLength }) => sum + readBufferLength, 0)
  }

  /** Bytes that wait to be sent. */
  get unsentBytes(): number {
    return this.streams.reduce((sum, { writeBufferLength }) => sum + writeBufferLength, 0)
  }
}

/** Every event of a kind from now on. */
export function synced<T extends SyncEvent['type']>(
  replica: Replica<number>,
  type: T,
): Extract<SyncEvent, { type: T }>[] {
  const events: Extract<SyncEvent, { type: T }>[] = []
  replica.addEventListener('sync', ({ detail }) => {
    if (detail.type === type) events.push(detail as Extract<SyncEvent, { type: T }>)
  })
  return events
}

/** The next event of a kind that `fits`. */
export function nextSync<T extends SyncEvent['type']>(
  replica: Replica<number>,
  type: T,
  fits: (event: Extract<SyncEvent, { type: T }>) => boolean = () => true,
): Promise<Extract<SyncEvent, { type: T }>> {
  return new Promise((resolve, reject) => {
    const late = AbortSignal.timeout(EVENT_WAIT_MS)
    const leave = () => {
      replica.removeEventListener('sync', onSync)
      late.removeEventListener('abort', onLate)
    }
    const onLate = () => {
      leave()
      reject(new Error(`no event ${type} within ${EVENT_WAIT_MS} ms`))
    }
    const onSync = ({ detail }: { detail: SyncEvent }) => {
      const event = detail as Extract<SyncEvent, { type: T }>
      if (event.type !== type || !fits(event)) return
      leave()
      resolve(event)
    }
    late.addEventListener('abort', onLate)
    replica.addEventListener('sync', onSync)
  })
}
