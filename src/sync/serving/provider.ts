import { pipe } from 'it-pipe'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Position } from '../../position.ts'
import type { AvailableSnapshots } from '../../snapshot/available.ts'
import { asError } from '../../thrown.ts'
import { SLICE_MS, traceSync } from '../../time/yielder.ts'
import { PeerUnavailable } from '../errors.ts'
import {
  ANSWER_WAIT_MS,
  FETCH_TIMEOUT_MS_DEFAULT,
  type ProviderLimits,
  providerLimits,
  REQUEST_BYTES_MAX,
} from '../limits.ts'
import { Failed, Incompatible, WireError } from '../wire/errors.ts'
import { FrameWriter } from '../wire/frame-writer.ts'
import { type ByteStream, decodeFrames, encodeFrame, type Frame, type Payload } from '../wire/frames.ts'
import { decodeRequest, encodeResponse, type Request, type ResponseBody } from '../wire/messages.ts'
import { Admission, type AdmissionInit } from './admission.ts'
import type { AnchorAllocator } from './anchor-allocator.ts'
import { type ChunkPart, type ChunkRange, checkRange, HINTS, itemsIn, only, wholly } from './chunk-parts.ts'
import type { ProviderEvent } from './events.ts'
import { HeldAnchors } from './held-anchors.ts'
import { offersOf } from './offers.ts'
import { isQuestion, type Question, Questions } from './questions.ts'
import { Quota } from './quota.ts'
import { ServedBytes } from './served-bytes.ts'

export interface ProviderInit extends AdmissionInit {
  readonly available: AvailableSnapshots
  readonly allocator: AnchorAllocator
  readonly limits?: Partial<ProviderLimits> | undefined
  /**
   * How long a peer may take to accept one frame before its stream is cut off, in milliseconds. Default
   * 5,000.
   */
  readonly sendTimeoutMs?: number
  readonly onEvent: (event: ProviderEvent) => void
}

/** Who asks, on which stream, and for which catch-up. */
interface Asker {
  readonly peer: string
  readonly stream: ByteStream
  readonly catchUp: string | undefined
}

/** The id of an answer that belongs to no request: it was no request, or was not read. */
const NO_REQUEST = 0

/**
 * The serving side. It answers the requests of a stream in order, one at a time. So a peer that stops reading
 * costs one chunk, and what its stream's window holds.
 */
export class Provider {
  readonly #init: ProviderInit
  readonly #admission: Admission
  readonly #quota: Quota
  readonly #sendTimeoutMs: number
  /** Half a requester's own timeout at most: it takes a provider that is silent for longer for gone. */
  readonly #waitMs: number
  readonly #served = new ServedBytes()
  readonly #anchors: HeldAnchors
  readonly #questions: Questions
  /** This turn of the event loop, from the first request that was answered in it. */
  #turn: { readonly beganMs: number; readonly over: Promise<void> } | undefined

  constructor(init: ProviderInit) {
    this.#init = init
    const { clock, limits, sendTimeoutMs = FETCH_TIMEOUT_MS_DEFAULT } = init
    this.#admission = new Admission(init)
    this.#sendTimeoutMs = sendTimeoutMs
    this.#waitMs = Math.min(ANSWER_WAIT_MS, sendTimeoutMs / 2)
    this.#quota = new Quota(providerLimits(limits), clock, this.#waitMs)
    const waiting = { ...init, waitMs: this.#waitMs }
    this.#anchors = new HeldAnchors(waiting)
    this.#questions = new Questions(waiting)
  }

  /** How many chunk bytes were sent of an anchor since it is offered. */
  servedBytes(anchor: Position): number {
    return this.#served.of(anchor)
  }

  /** The anchor is not offered any more. */
  released(anchor: Position): void {
    this.#served.forget(anchor)
  }

  /**
   * Serve one stream until the peer ends it. Never rejects: a stream that breaks is aborted, and told of as
   * `broken`.
   */
  async serve(peer: string, stream: ByteStream): Promise<void> {
    const { clock, onEvent } = this.#init
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
      onEvent({ type: 'broken', peer, error })
    }
  }

  /**
   * A peer that was refused may leave its side open and go on sending. Nobody reads that, so the stream is
   * aborted.
   */
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
        const request = traceSync('request', () => decodeRequest(header))
        yield* this.#answer({ peer, stream, catchUp: request.catchUp }, request)
      }
    } catch (error) {
      // After bytes that are no message nothing that follows can be trusted to be one: answer, and end.
      if (!(error instanceof WireError) || error instanceof PeerUnavailable) throw error
      yield this.#refusal({ peer }, NO_REQUEST, error)
    } finally {
      leave?.()
    }
  }

  /**
   * Quick answers, and chunks that the network takes at once, follow each other without a pause, on all
   * streams. Together they must not hold the event loop.
   */
  async #leaveOthersATurn(): Promise<void> {
    const { clock } = this.#init
    for (;;) {
      this.#turn ??= {
        beganMs: clock.now(),
        over: clock.turn().then(() => {
          this.#turn = undefined
        }),
      }
      if (clock.now() - this.#turn.beganMs < SLICE_MS) return
      await this.#turn.over
    }
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
        case 'query':
        case 'status':
        case 'order':
          yield* this.#told(peer, id, body)
          break
        default:
          yield answer(id, await this.#single(asker, body))
      }
    } catch (error) {
      yield this.#refusal(asker, id, error)
    } finally {
      leave?.()
    }
  }

  #refusal(
    { peer, catchUp }: Pick<Asker, 'peer'> & Partial<Asker>,
    id: number,
    cause: unknown,
  ): Uint8ArrayList {
    const error = cause instanceof WireError ? cause : new Failed(asError(cause).message)
    this.#init.onEvent({ type: 'refused', peer, error, catchUp })
    return answer(id, { type: 'error', error })
  }

  #checkScope(request: Request): void {
    const { host } = this.#init
    if (request.group !== host.group) throw new Incompatible('this replica is of another group')
    // Whoever asks may know no machine.
    if (isQuestion(request.body)) return
    const spoken = [host.signature, ...(host.also ?? [])]
    if (![request.signature, ...(request.also ?? [])].some((signature) => spoken.includes(signature))) {
      throw new Incompatible(`this replica's state machine is ${host.signature}, not ${request.signature}`)
    }
  }

  async #single(
    { peer, catchUp }: Asker,
    body: Exclude<Request['body'], Question | { type: 'chunks' | 'hints' | 'items' }>,
  ): Promise<ResponseBody> {
    const { available, allocator, onEvent } = this.#init
    switch (body.type) {
      case 'snapshot': {
        this.#anchors.checkEpoch(body.position)
        const anchor = await allocator.anchorFor(peer, body.position)
        onEvent({ type: 'named', peer, anchor, catchUp })
        return { type: 'anchored', anchor }
      }
      case 'offers':
        return { type: 'offers', offers: offersOf(available) }
      case 'manifest':
        return await this.#anchors.manifest(body.anchor, body.from)
      case 'keepAlive':
        return this.#anchors.keepAlive(body.anchor)
      case 'offer':
        onEvent({ type: 'offered', peer, offer: body.offer })
        return { type: 'noted' }
      default:
        return body satisfies never
    }
  }

  /** The answer of the host. It counts among the bytes that are being sent. */
  async *#told(peer: string, id: number, question: Question): AsyncGenerator<Uint8ArrayList> {
    const { body, payload } = await this.#questions.answer(question)
    const taken = await this.#quota.send(peer, payload?.length ?? 0)
    try {
      yield answer(id, body, payload)
    } finally {
      taken()
    }
  }

  /** What is asked of each chunk of a range, one after the other. */
  async *#payloads(
    asker: Asker,
    id: number,
    range: ChunkRange,
    part: ChunkPart,
  ): AsyncGenerator<Uint8ArrayList> {
    const { available, onEvent } = this.#init
    const { peer, stream, catchUp } = asker
    const { anchor, first, count } = range
    const chunks = this.#anchors.chunks(anchor)
    checkRange(range, chunks)
    this.#quota.session(peer)
    let release: (() => void) | undefined
    // Only now: a request that is refused revives nothing, and the offer may expire while a chunk waits for
    // room.
    const hold = () => {
      if (release !== undefined) return
      this.#anchors.find(anchor)
      available.revive(anchor)
      release = available.use(anchor)
    }
    try {
      for (let index = first; index < first + count; index++) {
        await this.#leaveOthersATurn()
        await this.#anchors.beyond(anchor, chunks, index)
        checkRange(range, chunks)
        const info = chunks.infos[index]!
        part.check(info)
        // A part that is decoded first takes room from then on. A chunk that is there takes it while it is
        // sent.
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
          onEvent({ type: 'served', peer, anchor, bytes: payload.length, catchUp })
        } finally {
          taken?.()
        }
      }
    } finally {
      release?.()
    }
  }
}

/** An answer is made before it is handed to the stream: one that cannot be made becomes a refusal. */
function answer(id: number, body: ResponseBody, payload?: Payload): Uint8ArrayList {
  return traceSync('answer', () => {
    const header = encodeResponse({ id, body })
    return encodeFrame(payload === undefined ? { header } : { header, payload })
  })
}
