import { create } from '@bufbuild/protobuf'
import { EPOCH_BYTES_MAX } from '../../bounds.ts'
import type { Position } from '../../position.ts'
import type { Encoding } from '../../snapshot/encoding.ts'
import { HASH_BYTES } from '../../snapshot/hash.ts'
import type { ChunkInfo } from '../../snapshot/manifest.ts'
import type { Order } from '../host.ts'
import { CONTROL_BYTES_MAX, MANIFEST_PAGE_CHUNKS, RESPONSE_BYTES_MAX } from '../limits.ts'
import { Malformed } from './errors.ts'
import * as pb from './pb/sync_pb.js'

/** What messages hold, as it is on the wire and as it is here. Each `to…` throws `Malformed`. */

export interface OfferView {
  /** The position of the snapshot. */
  readonly anchor: Position
  /** The time until the offer ends unless somebody fetches, in milliseconds. */
  readonly remainingMs: number
  /** Whether it is cut, so that chunks can be fetched at once. */
  readonly ready: boolean
}

/** At most one page of chunks. `control` is set if they are the last ones. */
export interface ManifestPage {
  readonly type: 'manifest'
  readonly chunks: readonly ChunkInfo[]
  readonly control: Uint8Array | undefined
}

export function fromPosition(position: Position): pb.Position {
  return create(pb.PositionSchema, { epoch: position.epoch, index: BigInt(position.index) })
}

export function toPosition(message: pb.Position | undefined): Position {
  if (message === undefined) throw new Malformed('a message without its position')
  if (message.epoch.length === 0 || message.epoch.length > EPOCH_BYTES_MAX) {
    throw new Malformed('a position without a proper epoch')
  }
  return { epoch: message.epoch, index: toIndex(message.index) }
}

export function toIndex(number: bigint): number {
  const index = Number(number)
  if (!Number.isSafeInteger(index)) throw new Malformed('a position beyond the largest index')
  return index
}

export function fromOrder(order: Order): pb.OrderRequest['order'] {
  switch (order.type) {
    case 'prune':
      return { case: 'prune', value: BigInt(order.keepEntries) }
    case 'upgrade':
      return { case: 'upgrade', value: order.to }
    default:
      return order satisfies never
  }
}

export function toOrder({ order }: pb.OrderRequest): Order {
  switch (order.case) {
    case 'prune':
      return { type: 'prune', keepEntries: toIndex(order.value) }
    case 'upgrade':
      return { type: 'upgrade', to: order.value }
    case undefined:
      throw new Malformed('an order that this version does not know')
    default:
      return order satisfies never
  }
}

export function fromOffer(offer: OfferView): pb.Offer {
  const { anchor, remainingMs, ready } = offer
  return create(pb.OfferSchema, { anchor: fromPosition(anchor), remainingMs: wholeMs(remainingMs), ready })
}

export function toOffer(message: pb.Offer): OfferView {
  return { anchor: toPosition(message.anchor), remainingMs: message.remainingMs, ready: message.ready }
}

export function toManifest(message: pb.Manifest): ManifestPage {
  if (message.chunks.length > MANIFEST_PAGE_CHUNKS)
    throw new Malformed('a manifest with too many chunks at once')
  if (message.control.length > CONTROL_BYTES_MAX)
    throw new Malformed('a manifest with too many control bytes')
  const chunks = message.chunks.map(({ items, bytes, hash }): ChunkInfo => {
    if (items === 0 || bytes < items || bytes > RESPONSE_BYTES_MAX || hash.length !== HASH_BYTES)
      throw new Malformed('a manifest with an impossible chunk')
    return { items, bytes, hash }
  })
  return { type: 'manifest', chunks, control: message.complete ? message.control : undefined }
}

/** The encodings, by their numbers on the wire. */
export const ENCODINGS: readonly Encoding[] = ['raw', 'zstd']

export function toEncoding(number: number): Encoding {
  const encoding = ENCODINGS[number]
  if (encoding === undefined)
    throw new Malformed(`bytes of encoding ${number}, which this version does not know`)
  return encoding
}

export function wholeMs(ms: number): number {
  return Math.min(0xffff_ffff, Math.max(0, Math.ceil(ms)))
}
