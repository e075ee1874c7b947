import { sameBytes } from '../bytes.ts'

/**
 * The most members of an electorate. A larger one would add attestations to the log, and little certainty.
 */
export const ELECTORATE_MAX = 5

/** What an attestation changed that other parts must know. */
export type SealChange =
  /** Its root has the majority now. */
  | 'sealed'
  /** No root can get the majority any more. */
  | 'disputed'
  /** It came after the seal, and its root is not the sealed one. */
  | 'diverged'

/**
 * Counts the attestations of one anchor, in the order of the log. The anchor is sealed once one root has the
 * majority of the electorate. It is disputed once no root can get the majority any more, whatever the
 * remaining electors attest. Only an elector's first attestation counts, and only electors' attestations do.
 *
 * A minority of wrong replicas is outvoted and named: none in an electorate of 1 or 2 (where a split is
 * disputed), one of 3 or 4, two of 5. A dispute does not tell which replica is wrong.
 */
export class Seal {
  readonly #electorate: ReadonlySet<string>
  readonly #roots = new Map<string, Uint8Array>()
  #sealed: Uint8Array | undefined
  #disputed = false

  constructor(electorate: readonly string[]) {
    this.#electorate = new Set(electorate)
  }

  /** Who may attest. */
  get electorate(): readonly string[] {
    return [...this.#electorate]
  }

  /** The root that has the majority. Undefined until one has. */
  get root(): Uint8Array | undefined {
    return this.#sealed
  }

  get state(): 'open' | 'sealed' | 'disputed' {
    if (this.#disputed) return 'disputed'
    return this.#sealed === undefined ? 'open' : 'sealed'
  }

  /** What each elector attested so far. */
  get attestations(): ReadonlyMap<string, Uint8Array> {
    return this.#roots
  }

  /** The electors that have not attested yet. */
  get silent(): readonly string[] {
    return [...this.#electorate].filter((elector) => !this.#roots.has(elector))
  }

  /** The electors that attested another root than the sealed one, and their roots. */
  get minority(): ReadonlyMap<string, Uint8Array> {
    const sealed = this.#sealed
    return new Map([...this.#roots].filter(([, root]) => sealed !== undefined && !sameBytes(root, sealed)))
  }

  /** Count an attestation. Returns undefined if it changes nothing that other parts must know. */
  attest(author: string, root: Uint8Array): SealChange | undefined {
    if (!this.#electorate.has(author) || this.#roots.has(author)) return undefined
    this.#roots.set(author, root)
    if (this.#disputed) return undefined
    if (this.#sealed !== undefined) return sameBytes(root, this.#sealed) ? undefined : 'diverged'
    if (this.#isMajority(this.#agreeing(root))) {
      this.#sealed = root
      return 'sealed'
    }
    if (this.mayBeSealedBy(this.silent)) return undefined
    this.#disputed = true
    return 'disputed'
  }

  /** Whether a root can still get the majority if only these of the silent electors attest it. */
  mayBeSealedBy(electors: readonly string[]): boolean {
    const best = Math.max(0, ...[...this.#roots.values()].map((one) => this.#agreeing(one)))
    return this.#isMajority(best + electors.length)
  }

  #agreeing(root: Uint8Array): number {
    return [...this.#roots.values()].filter((other) => sameBytes(other, root)).length
  }

  #isMajority(electors: number): boolean {
    return electors * 2 > this.#electorate.size
  }
}
