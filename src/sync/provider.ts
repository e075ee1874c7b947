import { pipe } from 'it-pipe'
import { type Clock, sleep } from '../expiry/clock.ts'
import { formatPosition, type Position } from '../position.ts'
import type { AvailableSnapshots } from '../snapshot/available.ts'
import type { CutSnapshot } from '../snapshot/cut-snapshot.ts'
import type { AnchorDesk } from './anchor-desk.ts'
import {
  Busy,
  Expired,
  Failed,
  Incompatible,
  Malformed,
  OutOfRange,
  SyncError,
  Unauthorized,
  UnknownAnchor,
} from './errors.ts'
import { type ByteStream, decodeFrames, encodeFrame, type Frame } from './frames.ts'
import type { SyncHost } from './host.ts'
import { BUSY_RETRY_MS, MANIFEST_WAIT_MS, REQUEST_BYTES_MAX } from './limits.ts'
import { decodeRequest, encodeResponse, type OfferView, type Request, type ResponseBody } from './messages.ts'

export interface ProviderInit {
  readonly host: SyncHost
  readonly available: AvailableSnapshots
  readonly desk: AnchorDesk
  readonly clock: Clock
  /** A peer pushed an offer. */
  readonly onOffer: (peer: string, offer: OfferView) => void
  /** A chunk was handed to the stream. */
  readonly onServed: (peer: string, anchor: Position, bytes: number) => void
}

/** The id of an answer to bytes that are no request. */
const NO_REQUEST = 0

/**
 * The serving side: answers each request of a stream, in order, one at a time. A reader that stops reading
 * therefore costs one chunk and what its stream's window holds.
 */
export class Provider {
  readonly #init: ProviderInit

  constructor(init: ProviderInit) {
    this.#init = init
  }

  /** Serve one stream until the peer ends it. Never rejects: a broken stream is the peer's affair. */
  async serve(peer: string, stream: ByteStream): Promise<void> {
    try {
      await pipe(
        decodeFrames(stream.source, REQUEST_BYTES_MAX),
        (requests) => this.#answerAll(peer, requests),
        async (answers) => {
          for await (const answer of answers) await stream.send(encodeFrame(answer))
        },
      )
      await stream.close()
    } catch (cause) {
      stream.abort(cause instanceof Error ? cause : new Error(String(cause)))
    }
  }

  async *#answerAll(peer: string, frames: AsyncIterable<Frame>): AsyncGenerator<Frame> {
    try {
      for await (const { header } of frames) yield* this.#answer(peer, decodeRequest(header))
    } catch (error) {
      // After bytes that are no message nothing that follows can be trusted to be one: answer, and end.
      if (!(error instanceof Malformed)) throw error
      yield answer(NO_REQUEST, { type: 'error', error })
    }
  }

  async *#answer(peer: string, request: Request): AsyncGenerator<Frame> {
    const { id, body } = request
    try {
      await this.#admit(peer, request)
      if (body.type === 'chunks') yield* this.#chunks(peer, id, body)
      else yield answer(id, await this.#single(peer, body))
    } catch (error) {
      const typed =
        error instanceof SyncError
          ? error
          : new Failed(error instanceof Error ? error.message : String(error))
      yield answer(id, { type: 'error', error: typed })
    }
  }

  async #admit(peer: string, request: Request): Promise<void> {
    const { host } = this.#init
    const isMember = () => host.members().some((member) => member.id === peer)
    if (!isMember()) await host.refreshMembers()
    if (!isMember()) throw new Unauthorized('announce yourself to the group first')
    if (request.group !== host.group) throw new Incompatible('this replica is of another group')
    if (request.signature !== host.signature) {
      throw new Incompatible(`this replica's state machine is ${host.signature}, not ${request.signature}`)
    }
  }

  async #single(peer: string, body: Exclude<Request['body'], { type: 'chunks' }>): Promise<ResponseBody> {
    const { available, desk, onOffer } = this.#init
    switch (body.type) {
      case 'snapshot':
        this.#checkEpoch(body.position)
        return { type: 'anchored', anchor: await desk.anchorFor(peer, body.position) }
      case 'offers':
        return { type: 'offers', offers: offersOf(available) }
      case 'manifest':
        return { type: 'manifest', manifest: (await this.#cut(body.anchor)).manifest }
      case 'keepAlive': {
        this.#find(body.anchor)
        return { type: 'revived', remainingMs: available.revive(body.anchor) ?? 0 }
      }
      case 'offer':
        onOffer(peer, body.offer)
        return { type: 'noted' }
      default:
        return body satisfies never
    }
  }

  async *#chunks(peer: string, id: number, range: { anchor: Position; first: number; count: number }) {
    const { available, onServed } = this.#init
    const { anchor, first, count } = range
    const cut = await this.#cut(anchor)
    if (count === 0 || first + count > cut.length) {
      throw new OutOfRange(`chunks ${first} to ${first + count - 1} are not within 0 to ${cut.length - 1}`)
    }
    available.revive(anchor)
    const release = available.use(anchor)
    try {
      for (let index = first; index < first + count; index++) {
        // Encoding goes on in other threads while this chunk is sent.
        if (index + 1 < first + count) cut.chunk(index + 1).catch(() => {})
        const { encoding, bytes: payload } = await cut.chunk(index)
        yield { ...answer(id, { type: 'chunk', index, encoding }), payload }
        onServed(peer, anchor, payload.length)
      }
    } finally {
      release()
    }
  }

  #checkEpoch(position: Position): void {
    const { epoch } = this.#init.host
    if (position.epoch !== epoch) {
      throw new Incompatible(`this replica follows the log of epoch ${epoch}, not ${position.epoch}`)
    }
  }

  #find(anchor: Position): void {
    this.#checkEpoch(anchor)
    const found = this.#init.available.get(anchor)
    if (found === 'released') throw new Expired(`the offer of ${formatPosition(anchor)} lapsed`)
    if (found === undefined) throw new UnknownAnchor(`${formatPosition(anchor)} was never offered here`)
  }

  /** The cut snapshot, or Busy when it takes longer than a requester should wait without hearing anything. */
  async #cut(anchor: Position): Promise<CutSnapshot> {
    this.#find(anchor)
    const { available, clock } = this.#init
    const found = available.get(anchor)
    if (found !== 'released' && found?.cut !== undefined) return found.cut
    available.hurry(anchor)
    const waiting = new AbortController()
    try {
      return await Promise.race([
        available.whenCut(anchor)!.catch(() => {
          throw new Expired(`the offer of ${formatPosition(anchor)} was withdrawn`)
        }),
        sleep(clock, MANIFEST_WAIT_MS, waiting.signal).then(() => {
          throw new Busy(`the snapshot of ${formatPosition(anchor)} is still being cut`, BUSY_RETRY_MS)
        }),
      ])
    } finally {
      waiting.abort()
    }
  }
}

export function offersOf(available: AvailableSnapshots): OfferView[] {
  return available
    .list()
    .map(({ anchor, remainingMs, cut }) => ({ anchor, remainingMs, ready: cut !== undefined }))
}

function answer(id: number, body: ResponseBody): Frame {
  return { header: encodeResponse({ id, body }) }
}
