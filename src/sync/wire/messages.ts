import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { Position } from '../../position.ts'
import type { Encoding } from '../../snapshot/encoding.ts'
import type { Runs } from '../../snapshot/hints.ts'
import type { Order } from '../host.ts'
import { BUSY_RETRY_MS, BUSY_RETRY_MS_MAX, OFFERS_MAX, RESPONSE_HEADER_BYTES_MAX } from '../limits.ts'
import { toCatchUpId } from './catch-up-id.ts'
import {
  Busy,
  CutFailed,
  Expired,
  Failed,
  Incompatible,
  Malformed,
  NotLeader,
  OutOfRange,
  Unauthorized,
  UnknownAnchor,
  type WireError,
} from './errors.ts'
import * as pb from './pb/sync_pb.js'
import {
  ENCODINGS,
  fromOffer,
  fromOrder,
  fromPosition,
  type ManifestPage,
  type OfferView,
  toEncoding,
  toIndex,
  toManifest,
  toOffer,
  toOrder,
  toPosition,
  wholeMs,
} from './values.ts'

/** The messages of `pb/sync.proto`, checked once at the border and trusted from there on. */

export type { OfferView }

export type RequestBody =
  | { readonly type: 'snapshot'; readonly position: Position }
  | { readonly type: 'offers' }
  | { readonly type: 'manifest'; readonly anchor: Position; readonly from: number }
  | { readonly type: 'chunks'; readonly anchor: Position; readonly first: number; readonly count: number }
  | { readonly type: 'hints'; readonly anchor: Position; readonly index: number }
  | { readonly type: 'items'; readonly anchor: Position; readonly index: number; readonly runs: Runs }
  | { readonly type: 'keepAlive'; readonly anchor: Position }
  | { readonly type: 'offer'; readonly offer: OfferView }
  | { readonly type: 'query'; readonly question: Uint8Array }
  | { readonly type: 'status' }
  | { readonly type: 'order'; readonly order: Order }

export type ResponseBody =
  | { readonly type: 'anchored'; readonly anchor: Position }
  | { readonly type: 'offers'; readonly offers: readonly OfferView[] }
  | ManifestPage
  | { readonly type: 'chunk'; readonly index: number; readonly encoding: Encoding }
  | { readonly type: 'hints'; readonly index: number }
  | { readonly type: 'items'; readonly index: number; readonly encoding: Encoding }
  | { readonly type: 'revived'; readonly remainingMs: number }
  | { readonly type: 'noted' }
  /** The answer itself is the payload; not found: there is none. */
  | { readonly type: 'answer'; readonly found: boolean; readonly index: number }
  /** JSON is the payload. */
  | { readonly type: 'status' }
  | { readonly type: 'done'; readonly index: number }
  | { readonly type: 'error'; readonly error: WireError }

export interface Scope {
  readonly group: string
  /** The version of the machine that the asker's group speaks. */
  readonly signature: string
  /** Other versions that it speaks too. Default: none. */
  readonly also?: readonly string[]
  /** The catch-up that it asks for, for logs alone. Default: none. */
  readonly catchUp?: string | undefined
}

export interface Request extends Scope {
  readonly id: number
  readonly body: RequestBody
}

export interface Response {
  readonly id: number
  readonly body: ResponseBody
}

/** The most signatures that an asker may list beside that of its group. */
const ALSO_MAX = 16
/** How much of an error's message is kept, in UTF-16 code units: a peer chose it. */
const ERROR_LENGTH_MAX = 500

export function encodeRequest(request: Request): Uint8Array {
  const { id, group, signature, also = [], catchUp = '' } = request
  const fields = { id, group, signature, also: [...also], catchUp, body: requestBody(request.body) }
  return toBinary(pb.RequestSchema, create(pb.RequestSchema, fields))
}

function requestBody(body: RequestBody): pb.Request['body'] {
  switch (body.type) {
    case 'snapshot':
      return {
        case: 'snapshot',
        value: create(pb.SnapshotRequestSchema, { position: fromPosition(body.position) }),
      }
    case 'offers':
      return { case: 'offers', value: create(pb.OffersRequestSchema) }
    case 'manifest':
      return {
        case: 'manifest',
        value: create(pb.ManifestRequestSchema, { anchor: fromPosition(body.anchor), from: body.from }),
      }
    case 'chunks': {
      const { first, count } = body
      return {
        case: 'chunks',
        value: create(pb.ChunksRequestSchema, { anchor: fromPosition(body.anchor), first, count }),
      }
    }
    case 'hints':
      return {
        case: 'hints',
        value: create(pb.HintsRequestSchema, { anchor: fromPosition(body.anchor), index: body.index }),
      }
    case 'items': {
      const { index, runs } = body
      return {
        case: 'items',
        value: create(pb.ItemsRequestSchema, { anchor: fromPosition(body.anchor), index, runs: [...runs] }),
      }
    }
    case 'keepAlive':
      return {
        case: 'keepAlive',
        value: create(pb.KeepAliveRequestSchema, { anchor: fromPosition(body.anchor) }),
      }
    case 'offer':
      return { case: 'offer', value: fromOffer(body.offer) }
    case 'query':
      return { case: 'query', value: create(pb.QueryRequestSchema, { question: body.question }) }
    case 'status':
      return { case: 'status', value: create(pb.StatusRequestSchema) }
    case 'order':
      return { case: 'order', value: create(pb.OrderRequestSchema, { order: fromOrder(body.order) }) }
    default:
      return body satisfies never
  }
}

export function decodeRequest(bytes: Uint8Array): Request {
  const { id, group, signature, also, body, ...message } = parse('request', () =>
    fromBinary(pb.RequestSchema, bytes),
  )
  if (also.length > ALSO_MAX) throw new Malformed('a request with too many signatures')
  const catchUp = toCatchUpId(message.catchUp)
  const scope = { id, group, signature, ...(also.length > 0 && { also }), ...(catchUp && { catchUp }) }
  switch (body.case) {
    case 'snapshot':
      return { ...scope, body: { type: 'snapshot', position: toPosition(body.value.position) } }
    case 'offers':
      return { ...scope, body: { type: 'offers' } }
    case 'manifest': {
      const { anchor, from } = body.value
      return { ...scope, body: { type: 'manifest', anchor: toPosition(anchor), from } }
    }
    case 'chunks': {
      const { anchor, first, count } = body.value
      return { ...scope, body: { type: 'chunks', anchor: toPosition(anchor), first, count } }
    }
    case 'hints': {
      const { anchor, index } = body.value
      return { ...scope, body: { type: 'hints', anchor: toPosition(anchor), index } }
    }
    case 'items': {
      const { anchor, index, runs } = body.value
      return { ...scope, body: { type: 'items', anchor: toPosition(anchor), index, runs } }
    }
    case 'keepAlive':
      return { ...scope, body: { type: 'keepAlive', anchor: toPosition(body.value.anchor) } }
    case 'offer':
      return { ...scope, body: { type: 'offer', offer: toOffer(body.value) } }
    case 'query':
      return { ...scope, body: { type: 'query', question: new Uint8Array(body.value.question) } }
    case 'status':
      return { ...scope, body: { type: 'status' } }
    case 'order':
      return { ...scope, body: { type: 'order', order: toOrder(body.value) } }
    case undefined:
      throw new Malformed('a request without a body that this version knows')
    default:
      return body satisfies never
  }
}

export function encodeResponse(response: Response): Uint8Array {
  const message = create(pb.ResponseSchema, { id: response.id, body: responseBody(response.body) })
  return toBinary(pb.ResponseSchema, message)
}

function responseBody(body: ResponseBody): pb.Response['body'] {
  switch (body.type) {
    case 'anchored':
      return { case: 'anchored', value: create(pb.AnchoredSchema, { anchor: fromPosition(body.anchor) }) }
    case 'offers':
      return { case: 'offers', value: create(pb.OffersSchema, { offers: body.offers.map(fromOffer) }) }
    case 'manifest': {
      const { control } = body
      const chunks = body.chunks.map((chunk) => create(pb.ChunkInfoSchema, chunk))
      const last = control === undefined ? {} : { complete: true, control }
      return { case: 'manifest', value: create(pb.ManifestSchema, { chunks, ...last }) }
    }
    case 'chunk':
      return {
        case: 'chunk',
        value: create(pb.ChunkSchema, { index: body.index, encoding: ENCODINGS.indexOf(body.encoding) }),
      }
    case 'hints':
      return { case: 'hints', value: create(pb.HintsSchema, { index: body.index }) }
    case 'items':
      return {
        case: 'items',
        value: create(pb.ItemsSchema, { index: body.index, encoding: ENCODINGS.indexOf(body.encoding) }),
      }
    case 'revived':
      return { case: 'revived', value: create(pb.RevivedSchema, { remainingMs: wholeMs(body.remainingMs) }) }
    case 'noted':
      return { case: 'noted', value: create(pb.NotedSchema) }
    case 'answer': {
      const { found, index } = body
      return { case: 'answer', value: create(pb.AnswerSchema, { found, index: BigInt(index) }) }
    }
    case 'status':
      return { case: 'status', value: create(pb.StatusSchema) }
    case 'done':
      return { case: 'done', value: create(pb.DoneSchema, { index: BigInt(body.index) }) }
    case 'error':
      return { case: 'error', value: fromError(body.error) }
    default:
      return body satisfies never
  }
}

export function decodeResponse(bytes: Uint8Array): Response {
  if (bytes.length > RESPONSE_HEADER_BYTES_MAX) throw new Malformed(`a response of ${bytes.length} bytes`)
  const { id, body } = parse('response', () => fromBinary(pb.ResponseSchema, bytes))
  switch (body.case) {
    case 'anchored':
      return { id, body: { type: 'anchored', anchor: toPosition(body.value.anchor) } }
    case 'offers':
      if (body.value.offers.length > OFFERS_MAX) throw new Malformed('an answer with too many offers')
      return { id, body: { type: 'offers', offers: body.value.offers.map(toOffer) } }
    case 'manifest':
      return { id, body: toManifest(body.value) }
    case 'chunk':
      return {
        id,
        body: { type: 'chunk', index: body.value.index, encoding: toEncoding(body.value.encoding) },
      }
    case 'hints':
      return { id, body: { type: 'hints', index: body.value.index } }
    case 'items':
      return {
        id,
        body: { type: 'items', index: body.value.index, encoding: toEncoding(body.value.encoding) },
      }
    case 'revived':
      return { id, body: { type: 'revived', remainingMs: body.value.remainingMs } }
    case 'noted':
      return { id, body: { type: 'noted' } }
    case 'error':
      return { id, body: { type: 'error', error: toError(body.value) } }
    case 'answer':
      return { id, body: { type: 'answer', found: body.value.found, index: toIndex(body.value.index) } }
    case 'status':
      return { id, body: { type: 'status' } }
    case 'done':
      return { id, body: { type: 'done', index: toIndex(body.value.index) } }
    case undefined:
      throw new Malformed('a response without a body that this version knows')
    default:
      return body satisfies never
  }
}

function parse<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new Malformed(`not a ${what} of this protocol`, { cause })
  }
}

function fromError(error: WireError): pb.Error {
  return create(pb.ErrorSchema, {
    name: error.name,
    message: error.message,
    retryMs: error instanceof Busy ? wholeMs(error.retryMs) : 0,
    leader: error instanceof NotLeader ? (error.leader ?? '') : '',
  })
}

/**
 * The errors by their names on the wire. A name that this version does not know becomes `Failed`, with its
 * message.
 */
export const PLAIN_ERRORS = {
  Expired,
  CutFailed,
  UnknownAnchor,
  OutOfRange,
  Unauthorized,
  Incompatible,
  Malformed,
  Failed,
}

/**
 * A peer's error. Its class follows from its name; only the fields below are read, within limits. So it is
 * not deserialized like errors of our own threads and processes. A name that this version does not know
 * becomes `Failed`.
 */
function toError({ name, message: text, retryMs, leader }: pb.Error): WireError {
  const message = text.slice(0, ERROR_LENGTH_MAX)
  if (name === 'Busy') return new Busy(message, Math.min(retryMs || BUSY_RETRY_MS, BUSY_RETRY_MS_MAX))
  if (name === 'NotLeader') return new NotLeader(leader === '' ? undefined : leader)
  if (!Object.hasOwn(PLAIN_ERRORS, name)) return new Failed(message)
  return new PLAIN_ERRORS[name as keyof typeof PLAIN_ERRORS](message)
}
