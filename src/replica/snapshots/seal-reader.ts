import { type Control, decodeControl, type Marker } from '../../group/control.ts'
import { Seal } from '../../group/seal.ts'
import type { Log, LogEntry } from '../../log/log.ts'
import type { Position } from '../../position.ts'
import { Disputed, NoMarker } from '../../sync/errors.ts'
import { genesisIn } from '../import/genesis-reader.ts'

/**
 * Anchors whose markers are remembered: a session installs the one that it read last, and an export may read
 * another meanwhile.
 */
const MARKERS_MAX = 16

/** What the log says of an anchor that the group agreed on. */
export interface AnchorSeal {
  readonly root: Uint8Array
  /** Undefined for the snapshot that the log begins with: its first entry names the root. */
  readonly marker: Marker | undefined
}

/** Reads seals off the log, from the marker on: a replica that catches up cannot apply what comes before. */
export class SealReader {
  readonly #log: Pick<Log, 'epoch' | 'follow' | 'read'>
  /** The attestations of anchors that are being read. */
  readonly #reading = new Map<number, Seal>()
  readonly #markers = new Map<number, Marker>()

  constructor(log: Pick<Log, 'epoch' | 'follow' | 'read'>) {
    this.#log = log
  }

  /** The attestations of an anchor so far, while its seal is being read. */
  reading(anchor: number): Seal | undefined {
    return this.#reading.get(anchor)
  }

  /** The marker of an anchor whose seal was read. */
  markerOf(anchor: number): Marker | undefined {
    return this.#markers.get(anchor)
  }

  /**
   * The version of the machine that the snapshot of an anchor is of; undefined: the one that the log was made
   * for. Rejects with `NoMarker`, and as the log does.
   */
  async signatureAt(anchor: Position, signal?: AbortSignal): Promise<string | undefined> {
    const known = this.#markers.get(anchor.index)
    if (known !== undefined) return known.signature
    for await (const { entries } of this.#log.read({ index: anchor.index - 1 }, signal && { signal })) {
      const [entry] = entries
      const genesis = genesisIn(entry!, this.#log.epoch)
      if (genesis !== undefined) return genesis.signature
      const marker = this.#markerIn(entry!, anchor)
      this.#remember(anchor.index, marker)
      return marker.signature
    }
    throw new NoMarker(anchor)
  }

  /** Resolves once the group has agreed on the anchor's root. Rejects with `Disputed` and `NoMarker`. */
  async read(anchor: Position, signal: AbortSignal): Promise<AnchorSeal> {
    try {
      const seal = await this.#follow(anchor, signal)
      if (seal.marker !== undefined) this.#remember(anchor.index, seal.marker)
      return seal
    } finally {
      this.#reading.delete(anchor.index)
    }
  }

  async #follow(anchor: Position, signal: AbortSignal): Promise<AnchorSeal> {
    let marker: Marker | undefined
    let seal: Seal | undefined
    for await (const { entries } of this.#log.follow({ index: anchor.index - 1 }, { signal })) {
      for (const entry of entries) {
        if (entry.kind !== 'control' && entry.index !== anchor.index) continue
        const control = this.#controlIn(entry)
        if (entry.index === anchor.index) {
          const genesis = genesisIn(entry, this.#log.epoch)
          if (genesis !== undefined) return { root: genesis.root, marker: undefined }
          marker = this.#markerIn(entry, anchor)
          seal = new Seal(marker.electorate)
          this.#reading.set(anchor.index, seal)
        } else if (control?.type === 'attestation' && control.anchor === anchor.index) {
          const change = seal?.attest(entry.author, control.root)
          if (change === 'disputed') throw new Disputed(anchor, seal!.attestations)
          if (change === 'sealed') return { root: control.root, marker: marker! }
        }
      }
    }
    throw signal.reason
  }

  #markerIn(entry: LogEntry, anchor: Position): Marker {
    const control = this.#controlIn(entry)
    if (entry.index !== anchor.index || control?.type !== 'marker') throw new NoMarker(anchor)
    return control
  }

  #controlIn({ kind, epoch, payload }: LogEntry): Control | undefined {
    return kind === 'control' && epoch === this.#log.epoch ? decodeControl(payload) : undefined
  }

  #remember(anchor: number, marker: Marker): void {
    this.#markers.delete(anchor)
    this.#markers.set(anchor, marker)
    for (const oldest of this.#markers.keys()) {
      if (this.#markers.size <= MARKERS_MAX) break
      this.#markers.delete(oldest)
    }
  }
}
