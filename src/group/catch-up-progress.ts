import type { MessageInitShape } from '@bufbuild/protobuf'
import { amount } from './amount.ts'
import type { Announcement_CatchUp, Announcement_CatchUpSchema } from './pb/group_pb.js'

/** What a catch-up is doing. */
export type CatchUpPhase =
  /** It asks the leader for an anchor. */
  | 'requesting'
  /** It knows the anchor, and no chunk could be asked for yet. */
  | 'choosing'
  /** It receives chunks. */
  | 'fetching'
  /** Every chunk is there, and the root is not sealed yet. */
  | 'verifying'
  /** The root is sealed: it puts the new state in the place of its own. */
  | 'installing'
  /** The snapshot is installed: it applies the log from there on. */
  | 'replaying'

export const CATCH_UP_PHASES: readonly CatchUpPhase[] = [
  'requesting',
  'choosing',
  'fetching',
  'verifying',
  'installing',
  'replaying',
]

/** The most providers that are told of: their places fit into 4 bits of a cell. */
export const PROVIDERS_MAX = 15
/** The most cells that are told of. */
export const CELLS_MAX = 128
/** In a cell: the place of the provider, and whether it is here, and whether some of it was asked of two. */
export const CELL_PROVIDER = 0b1111
export const CELL_HERE = 0b1_0000
export const CELL_HEDGED = 0b10_0000

/** One peer that sends chunks. */
export interface ProviderProgress {
  /** Its PeerId, as text. */
  readonly peer: string
  /** Chunks that it sent and that were taken. */
  readonly chunks: number
  /** What it sends now, in bytes per second as they come over the wire. */
  readonly bytesPerSecond: number
}

/** How far a catch-up is, as the replica announces it that is catching up. */
export interface CatchUpProgress {
  /** Names the catch-up: 16 hexadecimal digits. The logs of joiner, leader and providers have the same. */
  readonly id: string
  /** What it is doing. */
  readonly phase: CatchUpPhase
  /** The index of its anchor; 0 while there is none. */
  readonly anchor: number
  /** Chunks that are here and verified. */
  readonly chunks: number
  /** How many there are, as far as it is known; 0 while nothing is. */
  readonly chunksTotal: number
  /** Chunk bytes that are here and verified, as they are in the snapshot. */
  readonly bytes: number
  /** How many there are, as far as it is known; 0 while nothing is. */
  readonly bytesTotal: number
  /** Since the catch-up began, in milliseconds. */
  readonly elapsedMs: number
  /** The peers that sent most; at most 15. */
  readonly providers: readonly ProviderProgress[]
  /**
   * A picture of the chunks in their order, one byte for each of at most 128 cells of equally many chunks. 0: not
   * all of them are here. Else the 4 lower bits are the place, from 1, of the provider in `providers` that sent most
   * of them; 0 there: they were here already, or came from another one. Bit 4 (16): the cell is here. Bit 5 (32):
   * some of it was asked of two providers, because the first was late.
   */
  readonly cells: Uint8Array
}

const ID = /^[0-9a-f]{1,32}$/
/** A PeerId, as a base58 or base36 text, has some 60 characters. */
const PEER = /^[0-9A-Za-z]{1,128}$/

export function catchUpMessage(
  progress: CatchUpProgress,
): MessageInitShape<typeof Announcement_CatchUpSchema> {
  const { id, phase, anchor, chunks, chunksTotal, bytes, bytesTotal, elapsedMs, providers, cells } = progress
  return {
    id,
    phase,
    anchor: whole(anchor),
    chunks: whole(chunks),
    chunksTotal: whole(chunksTotal),
    bytes: whole(bytes),
    bytesTotal: whole(bytesTotal),
    elapsedMs: whole(elapsedMs),
    providers: providers.map(({ peer, chunks, bytesPerSecond }) => {
      return { peer, chunks: whole(chunks), bytesPerSecond: whole(bytesPerSecond) }
    }),
    cells: new Uint8Array(cells),
  }
}

/**
 * Reads what a peer announces of its catch-up. It may write anything: of more providers and cells than there can be
 * the first are read, more chunks than all are all, and a cell that nobody can mean is one that is not here.
 *
 * @returns undefined for a catch-up without an id, in a phase that is not known, or with a provider that is no PeerId
 */
export function catchUpOf(message: Announcement_CatchUp): CatchUpProgress | undefined {
  const { id, phase, cells } = message
  if (!ID.test(id) || !(CATCH_UP_PHASES as readonly string[]).includes(phase)) return undefined
  const providers = message.providers.slice(0, PROVIDERS_MAX).map(({ peer, chunks, bytesPerSecond }) => {
    return { peer, chunks: amount(chunks), bytesPerSecond: amount(bytesPerSecond) }
  })
  if (!providers.every(({ peer }) => PEER.test(peer))) return undefined
  const chunksTotal = amount(message.chunksTotal)
  const bytesTotal = amount(message.bytesTotal)
  return {
    id,
    phase: phase as CatchUpPhase,
    anchor: amount(message.anchor),
    chunks: Math.min(amount(message.chunks), chunksTotal),
    chunksTotal,
    bytes: Math.min(amount(message.bytes), bytesTotal),
    bytesTotal,
    elapsedMs: amount(message.elapsedMs),
    providers,
    cells: cells.slice(0, CELLS_MAX).map((cell) => cellOf(cell, providers.length)),
  }
}

function cellOf(cell: number, providers: number): number {
  if ((cell & CELL_HERE) === 0) return 0
  const place = cell & CELL_PROVIDER
  return (place > providers ? 0 : place) | (cell & (CELL_HERE | CELL_HEDGED))
}

function whole(value: number): bigint {
  return BigInt(Math.min(Math.max(0, Math.round(value)), Number.MAX_SAFE_INTEGER))
}
