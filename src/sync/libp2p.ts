import type { ComponentLogger, PeerId, Startable, Stream } from '@libp2p/interface'
import type { Registrar } from '@libp2p/interface-internal'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Uint8ArrayList } from 'uint8arraylist'
import { checkText } from '../bounds.ts'
import { Dialer, type DialerComponents } from './dialer.ts'
import { PeerUnavailable } from './errors.ts'
import {
  PROTOCOL_NAME,
  PROTOCOL_PREFIX_BYTES_MAX,
  PROTOCOL_PREFIX_DEFAULT,
  PROTOCOL_VERSION,
  REQUEST_BYTES_MAX,
} from './limits.ts'
import type { ByteStream } from './wire/frames.ts'
import type { SyncNetwork } from './wire/peers.ts'

/** What snapshot sync needs of a libp2p node. */
export interface SnapshotSyncComponents extends DialerComponents {
  readonly peerId: PeerId
  readonly registrar: Registrar
  /** For lines of `anchorage:sync` and its like. A node of libp2p has one; without one nothing is written. */
  readonly logger?: ComponentLogger | undefined
}

export interface Libp2pNetworkInit {
  /** This replica's PeerId, as text. */
  readonly self: string
  /** See `Libp2pSnapshotSyncInit`. Default `anchorage`. */
  readonly protocolPrefix?: string | undefined
  /** Streams that one peer may have open: see `ProviderLimits`. */
  readonly streamsPerPeer: number
}

/** Answers one stream that a peer opened. */
export type ServeStream = (peer: string, stream: ByteStream) => Promise<void>

/**
 * The other replicas, over libp2p. This network is made before the node, and joins it as one of the node's
 * services.
 */
export class Libp2pNetwork implements SyncNetwork {
  readonly self: string
  readonly #protocol: string
  readonly #maxInboundStreams: number
  #dialer: Dialer | undefined

  constructor({ self, protocolPrefix = PROTOCOL_PREFIX_DEFAULT, streamsPerPeer }: Libp2pNetworkInit) {
    checkText('protocolPrefix', protocolPrefix, PROTOCOL_PREFIX_BYTES_MAX)
    this.self = self
    this.#protocol = `/${protocolPrefix}/${PROTOCOL_NAME}/${PROTOCOL_VERSION}`
    // Streams of one connection, beyond which libp2p resets them. `Busy` comes first, and tells the peer why.
    this.#maxInboundStreams = 2 * streamsPerPeer
  }

  /** Rejects with `PeerUnavailable` before this network has joined a node. */
  async dial(peer: string, addresses: readonly string[], signal: AbortSignal): Promise<ByteStream> {
    if (this.#dialer === undefined) throw new PeerUnavailable('this replica has not joined its network yet')
    const connection = await this.#dialer.connect(peerIdFromString(peer), addresses, signal)
    return byteStream(await connection.newStream(this.#protocol, { signal }), ANSWERS_AHEAD_BYTES)
  }

  /**
   * Join a node. The node starts and stops the result with its other services. `serve` answers what peers
   * ask.
   */
  join(components: SnapshotSyncComponents, serve: ServeStream): Startable {
    const { registrar } = components
    const dialer = new Dialer(components)
    this.#dialer = dialer
    return {
      start: async () => {
        await registrar.handle(
          this.#protocol,
          (stream, connection) => {
            stream.maxReadBufferLength = REQUESTS_UNREAD_BYTES_MAX
            return serve(connection.remotePeer.toString(), byteStream(stream, REQUESTS_AHEAD_BYTES))
          },
          { maxInboundStreams: this.#maxInboundStreams },
        )
        dialer.start()
      },
      beforeStop: () => dialer.stop(),
      stop: () => registrar.unhandle(this.#protocol),
    }
  }
}

/**
 * Unread bytes of answers at which a stream tells the other side to wait: a few chunks are asked for ahead.
 */
const ANSWERS_AHEAD_BYTES = 4 * 1024 * 1024
/** The same for requests, which are small: the longest, twice over. */
const REQUESTS_AHEAD_BYTES = 2 * REQUEST_BYTES_MAX
/**
 * Unread bytes of requests at which a stream is reset. It is twice what a window of yamux lets through before
 * its sender hears that it must wait, so that only a flood fills it. libp2p's own limit is 4 MiB.
 */
const REQUESTS_UNREAD_BYTES_MAX = 512 * 1024

/**
 * Bytes handed to a stream at once. yamux makes one message of what waits, as large as its window (256 KiB to
 * 16 MiB). Its receiver passes nothing on before all of that is there, so on a slow link a peer would seem
 * silent for seconds.
 */
const PIECE_BYTES = 128 * 1024
/** Bytes that may still wait in a stream when more is sent: they keep the wire busy until then. */
const SENDING_AHEAD_BYTES = 128 * 1024

/** A libp2p stream as the sync core sees it, with back-pressure both ways. */
export function byteStream(stream: Stream, readAheadBytes: number): ByteStream {
  let heldBytes = 0
  return {
    source: receive(stream, readAheadBytes),
    async send(bytes) {
      // A request goes as a whole: several are sent without waiting for each other.
      const pieceBytes = bytes.byteLength <= REQUESTS_AHEAD_BYTES ? bytes.byteLength : PIECE_BYTES
      heldBytes = bytes.byteLength
      for (let at = 0; at < bytes.byteLength; at += pieceBytes) {
        const isTaken = stream.send(bytes.sublist(at, Math.min(at + pieceBytes, bytes.byteLength)))
        heldBytes -= Math.min(pieceBytes, heldBytes)
        if (!isTaken) await waitingLess(stream, SENDING_AHEAD_BYTES)
      }
    },
    get unsentBytes() {
      return heldBytes + stream.writeBufferLength
    },
    async flushed() {
      await waitingLess(stream, 0)
    },
    async close() {
      await stream.close()
    },
    abort(reason) {
      stream.abort(reason)
    },
  }
}

/**
 * Resolves when at most `bytes` of what was sent still wait in the stream. The stream's own `onDrain()` is of
 * no use: in @libp2p/utils 7.4 it keeps its first promise, and so resolves at once ever after. The event
 * `drain` comes with each window that opens, however much still waits, so this looks again at each.
 */
function waitingLess(stream: Stream, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stream.writeBufferLength <= bytes) return resolve()
    const leave = () => {
      stream.removeEventListener('drain', look)
      stream.removeEventListener('idle', look)
      stream.removeEventListener('close', onClose)
    }
    const look = () => {
      // A stream that breaks throws away what waits, and says that before it says why.
      if (stream.status !== 'open' || stream.writeBufferLength > bytes) return
      leave()
      resolve()
    }
    const onClose = ({ error }: { error?: Error }) => {
      leave()
      reject(error ?? new Error('the stream was closed'))
    }
    stream.addEventListener('drain', look)
    stream.addEventListener('idle', look)
    stream.addEventListener('close', onClose)
  })
}

/**
 * What arrives on a stream. libp2p's own iterator takes in all that is sent. This one pauses the stream while
 * more than `readAheadBytes` wait to be read.
 */
async function* receive(stream: Stream, readAheadBytes: number): AsyncGenerator<Uint8Array | Uint8ArrayList> {
  const waiting: (Uint8Array | Uint8ArrayList)[] = []
  let waitingBytes = 0
  let paused = false
  // It may have ended before anybody listened, with bytes left to read.
  let ended = stream.readableEnded
  let failure: Error | undefined
  let wake = Promise.withResolvers<void>()

  const onMessage = ({ data }: { data: Uint8Array | Uint8ArrayList }) => {
    waiting.push(data)
    waitingBytes += data.byteLength
    if (waitingBytes > readAheadBytes && !paused) {
      paused = true
      stream.pause()
    }
    wake.resolve()
  }
  const onEnd = () => {
    ended = true
    wake.resolve()
  }
  const onClose = ({ error }: { error?: Error }) => {
    failure = error
    onEnd()
  }
  stream.addEventListener('message', onMessage)
  stream.addEventListener('end', onEnd)
  stream.addEventListener('remoteCloseWrite', onEnd)
  stream.addEventListener('close', onClose)
  try {
    for (;;) {
      const next = waiting.shift()
      if (next !== undefined) {
        waitingBytes -= next.byteLength
        if (paused && waitingBytes <= readAheadBytes / 2) {
          paused = false
          stream.resume()
        }
        yield next
      } else if (failure !== undefined) {
        throw failure
      } else if (ended && stream.readBufferLength === 0) {
        return
      } else {
        await wake.promise
        wake = Promise.withResolvers()
      }
    }
  } finally {
    stream.removeEventListener('message', onMessage)
    stream.removeEventListener('end', onEnd)
    stream.removeEventListener('remoteCloseWrite', onEnd)
    stream.removeEventListener('close', onClose)
  }
}
