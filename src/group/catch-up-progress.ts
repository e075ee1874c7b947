/** What a catch-up is doing. */
export type CatchUpPhase =
  /** It asks the leader for an anchor. */
  | 'requesting'
  /** It knows the anchor, and no chunk could be asked for yet. */
  | 'choosing'
  | 'fetching'
  /** Every chunk is there, and the root is not sealed yet. */
  | 'verifying'
  | 'installing'
  /** The snapshot is installed: it applies the log from there on. */
  | 'replaying'

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
  readonly phase: CatchUpPhase
  /** The index of its anchor; 0 while there is none. */
  readonly anchor: number
  /** Chunks that are here and verified. */
  readonly chunks: number
  /** How many there are, as far as it is known; 0 while nothing is. */
  readonly chunksTotal: number
  /** Chunk bytes that are here and verified, as they are in the snapshot. */
  readonly bytes: number
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
