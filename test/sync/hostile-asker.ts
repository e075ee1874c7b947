import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { expect } from 'vitest'
import { Items } from '../../src/machine/items.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { encodeHints, hintsOf, picked } from '../../src/snapshot/hints.ts'
import { REQUEST_BYTES_MAX, REQUEST_CHUNKS_MAX, RESPONSE_BYTES_MAX } from '../../src/sync/limits.ts'
import { type ByteStream, CutShort, decodeFrames, encodeFrame } from '../../src/sync/wire/frames.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  type Request,
  type RequestBody,
  type Response,
} from '../../src/sync/wire/messages.ts'
import type { SyncNetwork } from '../../src/sync/wire/peers.ts'
import { sleep } from '../../src/time/clock.ts'
import { anyNumber, type Mutation, mutate, mutation } from './mutations.ts'
import { at, EPOCH, FETCH_TIMEOUT_MS, type SyncGroup, type SyncReplica } from './sync-group.ts'

/** A member that asks what it likes, one way or another, and reads what it is told. */

/** What it sends on one stream: sound requests, some of them mutated, in pieces; and how it leaves. */
export interface Script {
  readonly target: number
  readonly requests: readonly { readonly request: Request; readonly mutation: Mutation | undefined }[]
  /** Where the bytes are cut into writes: lengths, used in turn. */
  readonly pieces: readonly number[]
  /** `stall`: it reads nothing until its time is over. `reset`: it breaks the stream after so many writes. */
  readonly leaves: 'after reading' | 'stall' | { readonly reset: number }
}

/** The anchor that is offered all the time, and is cut. */
export const HELD = 101

const position = fc.record({
  epoch: fc.oneof({ weight: 12, arbitrary: fc.constant(EPOCH) }, fc.string({ minLength: 1, maxLength: 64 })),
  index: fc.oneof(
    { weight: 6, arbitrary: fc.constant(HELD) },
    fc.integer({ min: HELD - 2, max: HELD + 8 }),
    fc.maxSafeNat(),
  ),
})
const uint32 = anyNumber.map((value) => Number(BigInt.asUintN(32, value)))
/** Mostly within the snapshot, or about its end. */
const chunkNumber = fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 50 }) }, uint32)

const body: fc.Arbitrary<RequestBody> = fc.oneof(
  fc.record({ type: fc.constant('snapshot'), position }),
  fc.record({ type: fc.constant('offers') }),
  fc.record({ type: fc.constant('manifest'), anchor: position, from: chunkNumber }),
  fc.record({ type: fc.constant('chunks'), anchor: position, first: chunkNumber, count: chunkNumber }),
  fc.record({ type: fc.constant('hints'), anchor: position, index: chunkNumber }),
  fc.record({
    type: fc.constant('items'),
    anchor: position,
    index: chunkNumber,
    runs: fc.array(fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 1 }) }, uint32), { maxLength: 4 }),
  }),
  fc.record({ type: fc.constant('keepAlive'), anchor: position }),
  fc.record({ type: fc.constant('query'), question: fc.uint8Array({ maxLength: 4 }) }),
  fc.record({ type: fc.constant('status') }),
  fc.record({
    type: fc.constant('order'),
    order: fc.oneof(
      fc.record({ type: fc.constant('prune'), keepEntries: fc.nat() }),
      fc.record({ type: fc.constant('upgrade'), to: fc.string() }),
    ),
  }),
  fc.record({
    type: fc.constant('offer'),
    offer: fc.record({ anchor: position, remainingMs: uint32, ready: fc.boolean() }),
  }),
)

const mostly = (value: string) => fc.oneof({ weight: 12, arbitrary: fc.constant(value) }, fc.string())
const request: fc.Arbitrary<Request> = fc.record({
  id: fc.oneof({ weight: 4, arbitrary: fc.nat({ max: 20 }) }, uint32),
  group: mostly('g'),
  signature: mostly('s'),
  body,
})

export const script: fc.Arbitrary<Script> = fc.record({
  target: fc.nat(),
  requests: fc.array(
    fc.record({
      request,
      mutation: fc.option(mutation, { nil: undefined, freq: 2 }),
    }),
    { minLength: 1, maxLength: 24, size: 'max' },
  ),
  pieces: fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1, maxLength: 5 }),
  leaves: fc.oneof(
    { weight: 18, arbitrary: fc.constant('after reading' as const) },
    { weight: 1, arbitrary: fc.constant('stall' as const) },
    { weight: 1, arbitrary: fc.record({ reset: fc.nat({ max: 30 }) }) },
  ),
})

/** What a script comes to, whoever reads it. */
interface Sense {
  readonly requests: readonly Request[]
  /** What ends it. */
  readonly end: 'whole' | 'nonsense' | 'cut short'
}

async function senseOf(bytes: Uint8Array): Promise<Sense> {
  const requests: Request[] = []
  try {
    for await (const { header } of decodeFrames(once(bytes), REQUEST_BYTES_MAX)) {
      requests.push(decodeRequest(header))
    }
    return { requests, end: 'whole' }
  } catch (error) {
    return { requests, end: error instanceof CutShort ? 'cut short' : 'nonsense' }
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

interface Answer extends Response {
  readonly payload: Uint8Array | undefined
}

/** Play the script. Resolves with how many frames the provider had to read, when all its answers were right. */
export async function play(group: SyncGroup, hostile: SyncNetwork, scene: Script): Promise<number> {
  const providers = [...group.replicas.values()].filter(({ serves }) => serves)
  const provider = providers[scene.target % providers.length]!
  const frames = scene.requests.map(({ request, mutation }) => {
    const frame = { header: encodeRequest(request) }
    return mutation === undefined ? encodeFrame(frame).subarray() : mutate(frame, mutation)
  })
  const bytes = Buffer.concat(frames)
  const sense = await senseOf(bytes)
  const firstMutated = scene.requests.findIndex(({ mutation }) => mutation !== undefined)
  const sound = firstMutated === -1 ? scene.requests.length : firstMutated
  expect(sense.requests.slice(0, sound)).toEqual(scene.requests.slice(0, sound).map(({ request }) => request))

  const stream = await hostile.dial(provider.id, [], new AbortController().signal)
  const reset = typeof scene.leaves === 'object' ? scene.leaves.reset : undefined
  const writing = write(stream, pieces(bytes, scene.pieces), reset).then(async () => {
    // After nonsense it is the provider that ends the stream.
    if (sense.end !== 'nonsense') await stream.close()
  })
  // A stream that is broken, or that is not read any more, may refuse what is written.
  writing.catch(() => {})
  if (scene.leaves === 'stall') await sleep(group.clock, 2 * FETCH_TIMEOUT_MS)
  const { answers, broken } = await readAnswers(stream)
  check(group, provider, sense, { answers, broken: broken && scene.leaves !== 'after reading' })
  if (scene.leaves === 'after reading') expect(broken).toBe(false)
  await writing.catch(() => {})
  return sense.requests.length + (sense.end === 'whole' ? 0 : 1)
}

function* pieces(bytes: Uint8Array, lengths: readonly number[]): Generator<Uint8Array> {
  for (let start = 0, n = 0; start < bytes.length; n++) {
    const length = lengths[n % lengths.length]!
    yield bytes.subarray(start, start + length)
    start += length
  }
}

async function write(
  stream: ByteStream,
  parts: Iterable<Uint8Array>,
  reset = Number.POSITIVE_INFINITY,
): Promise<void> {
  let written = 0
  for (const part of parts) {
    if (written++ >= reset) break
    await stream.send(new Uint8ArrayList(part))
  }
  if (reset !== Number.POSITIVE_INFINITY) stream.abort(new Error('it resets the stream'))
}

async function readAnswers(stream: ByteStream): Promise<{ answers: Answer[]; broken: boolean }> {
  const answers: Answer[] = []
  const frames = decodeFrames(stream.source, RESPONSE_BYTES_MAX)
  for (;;) {
    const next = await frames.next().catch(() => 'broken' as const)
    if (next === 'broken') return { answers, broken: true }
    if (next.done) return { answers, broken: false }
    const { header, payload } = next.value
    answers.push({ ...decodeResponse(header), payload })
  }
}

/** Each request was answered, in order and rightly; nonsense was, once, at the end. */
function check(
  group: SyncGroup,
  provider: SyncReplica,
  sense: Sense,
  { answers, broken }: { answers: readonly Answer[]; broken: boolean },
): void {
  let next = 0
  for (const request of sense.requests) {
    const { id, body } = request
    const count = body.type === 'chunks' && body.count <= REQUEST_CHUNKS_MAX ? body.count : 0
    let chunks = 0
    for (; chunks < count && answers[next]?.body.type === 'chunk'; chunks++) {
      checkChunk(provider, request, chunks, answers[next++]!)
    }
    if (count > 0 && chunks === count) continue
    const answer = answers[next++]
    if (answer === undefined) {
      expect(broken, `${body.type} has no answer`).toBe(true)
      return
    }
    expect(answer.id).toBe(id)
    expect(allowed(group, provider, request), JSON.stringify(request)).toContain(nameOf(answer))
    checkPayload(provider, request, answer)
  }
  if (sense.end !== 'whole' && !(broken && next === answers.length)) {
    const last = answers[next]
    expect([last?.id, last && nameOf(last)]).toEqual([0, 'Malformed'])
    next++
  }
  expect(answers.length).toBe(next)
}

/** Hints and items come with raw bytes, even if these are none; nothing else does. */
function checkPayload(provider: SyncReplica, { body }: Request, { body: answer, payload }: Answer): void {
  const isAsked = (body.type === 'hints' || body.type === 'items') && answer.type === body.type
  if (!isAsked) return expect(payload).toBeUndefined()
  const item = Items.of(provider.items[body.index]!)
  const due = body.type === 'hints' ? encodeHints(hintsOf(item)) : picked(item, body.runs)
  expect(Buffer.compare(payload ?? new Uint8Array(), due)).toBe(0)
}

function checkChunk(provider: SyncReplica, { id, body }: Request, n: number, answer: Answer): void {
  if (body.type !== 'chunks' || answer.body.type !== 'chunk') throw new Error('no chunk was due')
  expect([answer.id, answer.body.index]).toEqual([id, body.first + n])
  const [item] = [...itemsOf(answer.payload!, 1)]
  expect(Buffer.compare(item!, provider.items[answer.body.index]!)).toBe(0)
}

const nameOf = ({ body }: Answer) => (body.type === 'error' ? body.error.name : body.type)

/** What a request may be answered with; chunks that are there are not among it. */
function allowed(group: SyncGroup, provider: SyncReplica, request: Request): string[] {
  const { group: name, signature } = provider.host
  const { body } = request
  if (request.group !== name) return ['Incompatible']
  // A host of this group answers nothing.
  if (body.type === 'query' || body.type === 'status' || body.type === 'order') return ['Failed']
  if (request.signature !== signature) return ['Incompatible']
  if (body.type === 'offers') return ['offers']
  if (body.type === 'offer') return ['noted']
  const { epoch, index } = body.type === 'snapshot' ? body.position : body.anchor
  if (epoch !== EPOCH) return ['Incompatible']
  if (body.type === 'snapshot') return provider.id === group.leader ? ['anchored', 'Busy'] : ['NotLeader']
  if (index < HELD || index > group.newest) return ['UnknownAnchor']
  const data = {
    manifest: ['manifest'],
    keepAlive: ['revived'],
    hints: ['hints', 'OutOfRange'],
    items: ['items', 'OutOfRange'],
    chunks: ['OutOfRange'],
  }[body.type]
  if (index > HELD) return [...data, 'Busy', 'Expired', 'UnknownAnchor']
  if (body.type !== 'chunks') return data
  const { first, count } = body
  const within = count > 0 && count <= REQUEST_CHUNKS_MAX && first + count <= provider.items.length
  return within ? [] : data
}

/** Whoever serves captures `HELD`, and offers it until the returned function is called. */
export async function hold(group: SyncGroup): Promise<() => void> {
  const providers = [...group.replicas.values()].filter(({ serves }) => serves)
  group.mark('m', HELD)
  group.newest = HELD
  await Promise.all(providers.map(({ sync }) => sync.whenCut(at(HELD))))
  const holds = providers.map(({ sync }) => sync.hold(at(HELD))!)
  return () => {
    for (const each of holds) each.release()
  }
}
