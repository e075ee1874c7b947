/** The most members an electorate names: more would add attestations, not certainty. */
export const ELECTORATE_MAX = 5

/**
 * Counts the attestations of one anchor. It is sealed once one root has the majority of the electorate; an elector's
 * first attestation counts, those of others do not.
 */
export class Seal {
  readonly #electorate: ReadonlySet<string>
  readonly #roots = new Map<string, Uint8Array>()
  #sealed: Uint8Array | undefined

  constructor(electorate: readonly string[]) {
    this.#electorate = new Set(electorate)
  }

  /** The root that has the majority, once one has. */
  get root(): Uint8Array | undefined {
    return this.#sealed
  }

  /** What each elector attested so far. */
  get attestations(): ReadonlyMap<string, Uint8Array> {
    return this.#roots
  }

  /** True when this attestation is the one that seals. */
  attest(author: string, root: Uint8Array): boolean {
    if (!this.#electorate.has(author) || this.#roots.has(author)) return false
    this.#roots.set(author, root)
    if (this.#sealed !== undefined) return false
    let agreeing = 0
    for (const other of this.#roots.values()) if (Buffer.compare(other, root) === 0) agreeing++
    if (agreeing * 2 <= this.#electorate.size) return false
    this.#sealed = root
    return true
  }
}
