import { Blake3Hasher } from '@napi-rs/blake-hash'

/**
 * Hashes are BLAKE3 in key derivation mode (section 2.3 of the BLAKE3 paper). That mode is made for
 * separating domains: a chunk can never pass for a root. BLAKE3 is the fastest hash in a maintained package
 * that neither compiles nor downloads anything on installation.
 */
export const HASH_BYTES = 32

export function hash(domain: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const hashing = new Hashing(domain)
  for (const part of parts) hashing.update(part)
  return hashing.digest()
}

/** A hash of bytes that come one after the other. */
export class Hashing {
  readonly #state: Blake3Hasher

  constructor(domain: string) {
    this.#state = Blake3Hasher.newDeriveKey(domain)
  }

  update(bytes: Uint8Array): void {
    this.#state.update(bytes)
  }

  digest(): Uint8Array {
    return new Uint8Array(this.#state.digestBuffer())
  }
}
