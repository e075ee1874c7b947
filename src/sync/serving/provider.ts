import { pipe } from 'it-pipe'
import type { Uint8ArrayList } from 'uint8arraylist'
import { formatPosition, type Position } from '../../position.ts'
import type { AvailableSnapshots, Released } from '../../snapshot/available.ts'
import type { CutSnapshot } from '../../snapshot/cut-snapshot.ts'
import type { Runs } from '../../snapshot/hints.ts'
import type { ChunkInfo } from '../../snapshot/manifest.ts'
import { asError } from '../../thrown.ts'
import { sleep } from '../../time/clock.ts'
import { SLICE_MS, traceSync } from '../../time/yielder.ts'
import {
  ANSWER_WAIT_MS,
  BUSY_RETRY_MS,
  FETCH_TIMEOUT_MS_DEFAULT,
  HINTED_ITEM_BYTES_MIN,
  MANIFEST_PAGE_CHUNKS,
  OFFERS_MAX,
  type ProviderLimits,
  providerLimits,
  REQUEST_BYTES_MAX,
  REQUEST_CHUNKS_MAX,
  RUNS_MAX,
} from '../limits.ts'
import {
  Busy,
  CutFailed,
  Expired,
  Failed,
  Incompatible,
  OutOfRange,
  PeerUnavailable,
  SyncError,
  UnknownAnchor,
} from '../wire/errors.ts'
import { FrameWriter } from '../wire/frame-writer.ts'
import { type ByteStream, decodeFrames, encodeFrame, type Frame } from '../wire/frames.ts'
import {
  decodeRequest,
  encodeResponse,
  type OfferView,
  type Request,
  type ResponseBody,
} from '../wire/messages.ts'
import { Admission, type AdmissionInit } from './admission.ts'
import type { AnchorAllocator } from './anchor-allocator.ts'
import { Quota } from './quota.ts'
import { ServedBytes } from './served-bytes.ts'

export interface ProviderInit extends AdmissionInit {
  readonly available: AvailableSnapshots
  readonly allocator: AnchorAllocator
  readonly limits?: Partial<ProviderLimits> | undefined
  /** How long a peer may take to accept one frame before its stream is cut off, in milliseconds. Default 5,000. */
  readonly sendTimeoutMs?: number
  /** A peer pushed an offer. */
  readonly onOffer: (peer: string, offer: OfferView) => void
  /** A chunk was handed to the stream. */
  readonly onServed: (peer: string, anchor: Position, bytes: number) => void
  /** A peer was told an error. */
  readonly onRefused?: (peer: string, error: SyncError) => void
  /** A stream broke while this side was answering: the peer left, or did not take its answer in time. */
  readonly onBroken?: (peer: string, error: Error) => void
}

/** Who asks, and on which stream. */
interface Asker {
  readonly peer: string
  readonly stream: ByteStream
}

/** Chunks of one anchor. */
interface Range {
  readonly anchor: Position
  readonly first: number
  readonly count: number
}

/** What is sent of a chunk. */
interface Part {
  /** The chunk must be decoded for it. */
  readonly decodes: boolean
  /** Throws `OutOfRange` where there is no such thing. */
  check(chunk: ChunkInfo): void
  make(chunks: CutSnapshot, index: number): Promise<{ body: ResponseBody; payload: Uint8Array }>
}

/** The id of an answer to bytes that are no request, or were not read. */
const NO_REQUEST = 0

/**
 * The serving side: answers each request of a stream, in order, one at a time. A reader that stops reading
 * therefore costs one chunk and what its stream's window holds.
 */
export class Provider {
  readonly #init: ProviderInit
  readonly #admission: Admission
  readonly #quota: Quota
  readonly #sendTimeoutMs: number
  /** Requesters have the same timeouts, and would take a provider that is silent for longer for gone. */
  readonly #waitMs: number
  readonly #served = new ServedBytes()
  /** This turn of the event loop, from the first request that was answered in it. */
  #turn: { readonly beganMs: number; readonly over: Promise<void> } | undefined

  constructor(init: ProviderInit) {
    this.#init = init
    const { clock, limits, sendTimeoutMs = FETCH_TIMEOUT_MS_DEFAULT } = init
    this.#admission = new Admission(init)
    this.#sendTimeoutMs = sendTimeoutMs
    this.#waitMs = Math.min(ANSWER_WAIT_MS, sendTimeoutMs / 2)
    this.#quota = new Quota(providerLimits(limits), clock, this.#waitMs)
  }

  /** How many chunk bytes were sent of an anchor since it is offered. */
  servedBytes(anchor: Position): number {
    return this.#served.of(anchor)
  }

  /** The anchor is not offered any more. */
  released(anchor: Position): void {
    this.#served.forget(anchor)
  }

  /** Serve one stream until the peer ends it. Never rejects: a stream that breaks is told of, and aborted. */
  async serve(peer: string, stream: ByteStream): Promise<void> {
    const { clock, onBroken } = this.#init
    try {
      await pipe(
        decodeFrames(stream.source, REQUEST_BYTES_MAX),
        (requests) => this.#answerAll(peer, stream, requests),
        async (answers) => {
          const writer = new FrameWriter(stream, clock, this.#sendTimeoutMs)
          for await (const answer of answers) await writer.send(answer)
        },
      )
      this.#forget(stream)
      await stream.close()
    } catch (cause) {
      const error = asError(cause)
      stream.abort(error)
      onBroken?.(peer, error)
    }
  }

  /** A peer that was refused may leave its side open, and go on sending what nobody reads. */
  #forget(stream: ByteStream): void {
    this.#init.clock.schedule(this.#sendTimeoutMs, () => stream.abort(new Error('the stream is over')))
  }

  /** Nothing is read of the stream before its peer is let in. */
  async *#answerAll(
    peer: string,
    stream: ByteStream,
    frames: AsyncIterable<Frame>,
  ): AsyncGenerator<Uint8ArrayList> {
    let leave: (() => void) | undefined
    try {
      leave = this.#quota.stream(peer)
      await this.#admission.admit(peer)
      for await (const { header } of frames) {
        await this.#leaveOthersATurn()
        yield* this.#answer(
          { peer, stream },
          traceSync('request', () => decodeRequest(header)),
        )
      }
    } catch (error) {
      // After bytes that are no message nothing that follows can be trusted to be one: answer, and end.
      if (!(error instanceof SyncError) || error instanceof PeerUnavailable) throw error
      yield this.#refusal(peer, NO_REQUEST, error)
    } finally {
      leave?.()
    }
  }

  /** Requests that are pipelined and quickly answered follow each other at once: they must not hold the event loop. */
  async #leaveOthersATurn(): Promise<void> {
    const { clock } = this.#init
    this.#turn ??= {
      beganMs: clock.now(),
      over: clock.turn().then(() => {
        this.#turn = undefined
      }),
    }
    if (clock.now() - this.#turn.beganMs >= SLICE_MS) await this.#turn.over
  }

  async *#answer(asker: Asker, request: Request): AsyncGenerator<Uint8ArrayList> {
    const { peer } = asker
    const { id, body } = request
    let leave: (() => void) | undefined
    try {
      await this.#admission.admit(peer)
      this.#checkScope(request)
      leave = this.#quota.request(peer)
      switch (body.type) {
        case 'chunks':
          yield* this.#payloads(asker, id, body, wholly(body))
          break
        case 'hints':
          yield* this.#payloads(asker, id, only(body), HINTS)
          break
        case 'items':
          yield* this.#payloads(asker, id, only(body), itemsIn(body.runs))
          break
        default:
          yield answer(id, await this.#single(peer, body))
      }
    } catch (error) {
      yield this.#refusal(peer, id, error)
    } finally {
      leave?.()
    }
  }

  #refusal(peer: string, id: number, cause: unknown): Uint8ArrayList {
    const error = cause instanceof SyncError ? cause : new Failed(asError(cause).message)
    this.#init.onRefused?.(peer, error)
    return answer(id, { type: 'error', error })
  }

  #checkScope(request: Request): void {
    const { host } = this.#init
    if (request.group !== host.group) throw new Incompatible('this replica is of another group')
    if (request.signature !== host.signature) {
      throw new Incompatible(`this replica's state machine is ${host.signature}, not ${request.signature}`)
    }
  }

  async #single(
    peer: string,
    body: Exclude<Request['body'], { type: 'chunks' | 'hints' | 'items' }>,
  ): Promise<ResponseBody> {
    const { available, allocator, onOffer } = this.#init
    switch (body.type) {
      case 'snapshot':
        this.#checkEpoch(body.position)
        return { type: 'anchored', anchor: await allocator.anchorFor(peer, body.position) }
      case 'offers':
        return { type: 'offers', offers: offersOf(available) }
      case 'manifest':
        return await this.#manifest(body.anchor, body.from)
      case 'keepAlive': {
        this.#find(body.anchor)
        const remainingMs = available.keepAlive(body.anchor)
        if (remainingMs === undefined) throw new Expired('nobody has fetched from it for too long')
        return { type: 'revived', remainingMs }
      }
      case 'offer':
        onOffer(peer, body.offer)
        return { type: 'noted' }
      default:
        return body satisfies never
    }
  }

  /** What is asked of each chunk of a range, one after the other. */
  async *#payloads(asker: Asker, id: number, range: Range, part: Part): AsyncGenerator<Uint8ArrayList> {
    const { available, onServed } = this.#init
    const { peer, stream } = asker
    const { anchor, first, count } = range
    const chunks = this.#held(anchor)
    checkRange(range, chunks)
    this.#quota.session(peer)
    let release: (() => void) | undefined
    // What is refused revives nothing; and while it waited for room the offer may have expired.
    const hold = () => {
      if (release !== undefined) return
      this.#find(anchor)
      available.revive(anchor)
      release = available.use(anchor)
    }
    try {
      for (let index = first; index < first + count; index++) {
        await this.#beyond(anchor, chunks, index)
        checkRange(range, chunks)
        const info = chunks.infos[index]!
        part.check(info)
        // What is decoded takes room before that, what is there already only while it is sent.
        let taken = part.decodes ? await this.#quota.send(peer, info.bytes) : undefined
        try {
          if (part.decodes) hold()
          const { body, payload } = await part.make(chunks, index)
          taken ??= await this.#quota.send(peer, payload.length)
          hold()
          const end = this.#served.begin(anchor, payload.length, stream)
          let isTaken = false
          try {
            yield answer(id, body, payload)
            isTaken = true
          } finally {
            end({ taken: isTaken })
          }
          onServed(peer, anchor, payload.length)
        } finally {
          taken?.()
        }
      }
    } finally {
      release?.()
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
    if (found === undefined) throw new UnknownAnchor(`${formatPosition(anchor)} was never offered here`)
    if ('released' in found) throw gone(anchor, found)
    if (this.#init.host.hasStalled?.(anchor) === true) {
      this.#init.available.expire(anchor, 'nobody makes progress with it; ask for a newer one')
      return this.#find(anchor)
    }
  }

  async #manifest(anchor: Position, from: number): Promise<ResponseBody> {
    const chunks = this.#held(anchor)
    await this.#beyond(anchor, chunks, from)
    const end = from + MANIFEST_PAGE_CHUNKS
    const control = end >= chunks.infos.length ? chunks.manifest?.control : undefined
    return { type: 'manifest', chunks: chunks.infos.slice(from, end), control }
  }

  #held(anchor: Position): CutSnapshot {
    this.#find(anchor)
    this.#init.available.startNow(anchor)
    return this.#init.available.chunks(anchor)!
  }

  /** Resolves when there are more than `count` chunks, or all; Busy when that takes longer than a requester should wait. */
  async #beyond(anchor: Position, chunks: CutSnapshot, count: number): Promise<void> {
    if (chunks.infos.length > count || chunks.manifest !== undefined) return
    const waiting = new AbortController()
    try {
      await Promise.race([
        chunks.beyond(count).catch((error: Error) => {
          this.#find(anchor)
          // It failed just now, and is about to be released for that.
          throw CutFailed.at(anchor, error.message)
        }),
        sleep(this.#init.clock, this.#waitMs, waiting.signal).then(() => {
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
    .slice(-OFFERS_MAX)
    .map(({ anchor, remainingMs, ready }) => ({ anchor, remainingMs, ready }))
}

/** Why an anchor that was offered here is not any more. */
export function gone(anchor: Position, { released, why }: Released): SyncError {
  if (released === 'failed') return CutFailed.at(anchor, why ?? 'no reason was given')
  const end = released === 'expired' ? 'lapsed' : 'was withdrawn'
  return new Expired(`the offer of ${formatPosition(anchor)} ${end}${why === undefined ? '' : `: ${why}`}`)
}

/** Made before it is handed to the stream: one that cannot be made is a refusal that its peer is told. */
function answer(id: number, body: ResponseBody, payload?: Uint8Array): Uint8ArrayList {
  return traceSync('answer', () => {
    const header = encodeResponse({ id, body })
    return encodeFrame(payload === undefined ? { header } : { header, payload })
  })
}

function wholly({ first, count }: Range): Part {
  return {
    decodes: false,
    check() {},
    async make(chunks, index) {
      // Encoding goes on in other threads while this chunk is sent.
      const next = index + 1
      if (next < first + count && next < chunks.infos.length) chunks.chunk(next).catch(() => {})
      const { encoding, bytes } = await chunks.chunk(index)
      return { body: { type: 'chunk', index, encoding }, payload: bytes }
    },
  }
}

const HINTS: Part = {
  decodes: true,
  check: checkHinted,
  make: async (chunks, index) => ({ body: { type: 'hints', index }, payload: await chunks.hints(index) }),
}

function itemsIn(runs: Runs): Part {
  return {
    decodes: true,
    check(chunk) {
      checkHinted(chunk)
      if (runs.length > RUNS_MAX) throw new OutOfRange(`${runs.length} runs of items at once`)
      const end = runs.reduce((sum, run) => sum + run, 0)
      if (end > chunk.items) throw new OutOfRange(`there is no item ${end - 1} among ${chunk.items}`)
    },
    async make(chunks, index) {
      const { encoding, bytes } = await chunks.pick(index, runs)
      return { body: { type: 'items', index, encoding }, payload: bytes }
    },
  }
}

/** Of many small items, hints would take more than what they are for. */
function checkHinted({ items, bytes }: ChunkInfo): void {
  if (bytes >= items * HINTED_ITEM_BYTES_MIN) return
  throw new OutOfRange(`there are no hints of items of less than ${HINTED_ITEM_BYTES_MIN} bytes on average`)
}

function only({ anchor, index }: { readonly anchor: Position; readonly index: number }): Range {
  return { anchor, first: index, count: 1 }
}

function checkRange({ first, count }: Range, { manifest, infos }: CutSnapshot): void {
  const counts = count > 0 && count <= REQUEST_CHUNKS_MAX
  if (counts && (manifest === undefined || first + count <= infos.length)) return
  throw new OutOfRange(`chunks ${first} to ${first + count - 1} are not within 0 to ${infos.length - 1}`)
}
