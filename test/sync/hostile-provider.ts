import { setImmediate as nextTurn } from 'node:timers/promises'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { HASH_BYTES } from '../../src/snapshot/hash.ts'
import { RESPONSE_BYTES_MAX } from '../../src/sync/limits.ts'
import { Busy, NotLeader, type WireError } from '../../src/sync/wire/errors.ts'
import { type ByteStream, decodeFrames, encodeFrame } from '../../src/sync/wire/frames.ts'
import {
  decodeResponse,
  encodeResponse,
  type OfferView,
  PLAIN_ERRORS,
  type ResponseBody,
} from '../../src/sync/wire/messages.ts'
import { anyNumber, type Mutation, mutate, mutation } from './mutations.ts'
import { EPOCH } from './sync-group.ts'

/** A member that holds what the others hold, and does not always send that. */

/** What it does with one answer of an honest provider. */
export type Lie =
  | { readonly kind: 'mutate'; readonly mutation: Mutation }
  /** Another answer to the same request. */
  | { readonly kind: 'instead'; readonly body: ResponseBody }
  | { readonly kind: 'twice' }
  /** What it sent before. */
  | { readonly kind: 'again' }
  /** After the next one. */
  | { readonly kind: 'later' }

/** What it does with its answers, in turn. Undefined: it is honest. */
export type Lies = readonly (Lie | undefined)[]

const uint32 = anyNumber.map((value) => Number(BigInt.asUintN(32, value)))
const safeIndex = fc.oneof(fc.integer({ min: 99, max: 110 }), fc.maxSafeNat())
const anchor = fc.record({ epoch: fc.constantFrom(EPOCH, EPOCH, 'another'), index: safeIndex })
const offer: fc.Arbitrary<OfferView> = fc.record({ anchor, remainingMs: uint32, ready: fc.boolean() })
const small = fc.integer({ min: 1, max: 5000 })
const chunkInfo = fc.record({
  items: fc.constant(1),
  bytes: small,
  hash: fc.uint8Array({ minLength: HASH_BYTES, maxLength: HASH_BYTES }),
})

const error: fc.Arbitrary<WireError> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .tuple(fc.constantFrom(...Object.values(PLAIN_ERRORS)), fc.string({ maxLength: 400 }))
      .map(([Kind, message]) => new Kind(message)),
  },
  { weight: 2, arbitrary: fc.tuple(fc.string(), uint32).map(([message, ms]) => new Busy(message, ms)) },
  { weight: 1, arbitrary: fc.constantFrom('h', 'nobody', undefined).map((leader) => new NotLeader(leader)) },
)

const body: fc.Arbitrary<ResponseBody> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('error'), error }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('anchored'), anchor }) },
  {
    weight: 1,
    arbitrary: fc.record({ type: fc.constant('offers'), offers: fc.array(offer, { maxLength: 70 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('manifest'),
      chunks: fc.array(chunkInfo),
      control: fc.option(fc.uint8Array(), { nil: undefined }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('chunk'),
      index: uint32,
      encoding: fc.constantFrom('raw', 'zstd'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('hints'), index: uint32 }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('items'),
      index: uint32,
      encoding: fc.constantFrom('raw', 'zstd'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('revived'), remainingMs: uint32 }) },
  { weight: 1, arbitrary: fc.constant({ type: 'noted' as const }) },
)

const lie: fc.Arbitrary<Lie> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('mutate'), mutation }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('instead'), body }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('twice', 'again', 'later') }) },
)

/** Some begin honestly: what comes later in a session meets lies, too. */
export const lies: fc.Arbitrary<Lies> = fc
  .tuple(
    fc.nat({ max: 2 }),
    fc.array(fc.option(lie, { nil: undefined, freq: 3 }), { minLength: 1, maxLength: 6, size: 'max' }),
  )
  .map(([honest, others]) => [...Array<undefined>(honest).fill(undefined), ...others])

/** These lies, and then from the beginning. */
export function* withoutEnd(all: Lies): Generator<Lie | undefined> {
  for (;;) yield* all
}

/**
 * Serve streams with the next of these lies, and honestly when there are no more. `onLie` is called for each frame that is not the honest one in its place, when it was sent to
 * somebody who has not ended the stream: with a turn of the event loop before it, what was sent earlier has been read.
 */
export function lying(
  all: Iterator<Lie | undefined>,
  onLie: () => void,
): (peer: string, stream: ByteStream) => ByteStream {
  return (_peer, stream) => {
    let before: Uint8Array | undefined
    let later: Uint8Array | undefined
    return {
      ...stream,
      send: async (bytes) => {
        const honest = bytes.slice()
        const told: Lie | undefined = all.next().value
        const frames = [...(await tell(told, honest, before)), ...(later === undefined ? [] : [later])]
        const isLie = told !== undefined || later !== undefined
        later = told?.kind === 'later' ? honest : undefined
        before = honest
        for (const frame of frames) {
          await nextTurn()
          await stream.send(new Uint8ArrayList(frame))
          if (isLie && frame.length > 0) onLie()
        }
      },
    }
  }
}

async function tell(
  told: Lie | undefined,
  honest: Uint8Array,
  before: Uint8Array | undefined,
): Promise<Uint8Array[]> {
  if (told === undefined) return [honest]
  if (told.kind === 'twice') return [honest, honest]
  if (told.kind === 'again') return [before ?? honest]
  if (told.kind === 'later') return []
  const [frame] = await Array.fromAsync(decodeFrames(once(honest), RESPONSE_BYTES_MAX))
  if (told.kind === 'mutate') return [mutate(frame!, told.mutation)]
  const { id } = decodeResponse(frame!.header)
  return [encodeFrame({ header: encodeResponse({ id, body: told.body }) }).subarray()]
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
