import { xsalsa20 } from '@noble/ciphers/salsa.js'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { NetworkKey } from './network-key.ts'

/** XSalsa20 makes so many bytes at a time. */
const BLOCK_BYTES = 64

/**
 * One direction of a connection: encrypts, or decrypts, what passes. `@noble/ciphers` is audited and holds no
 * memory between calls. The package `xsalsa20`, which `@libp2p/pnet` 3.0.27 has, is a fifth faster, but each of
 * its ciphers grows one memory that they share, for good, once a message was above 640 KiB.
 */
export class KeyStream {
  readonly #key: NetworkKey
  readonly #nonce: Uint8Array
  #position: number

  /** @param position how many bytes have passed, for tests */
  constructor(key: NetworkKey, nonce: Uint8Array, position = 0) {
    this.#key = key
    this.#nonce = nonce
    this.#position = position
  }

  /** The next bytes, in memory of their own. Throws after 256 GiB: its counter of blocks has 32 bits. */
  update(data: Uint8Array | Uint8ArrayList): Uint8Array {
    const skipped = this.#position % BLOCK_BYTES
    const bytes = new Uint8Array(skipped + data.byteLength)
    let at = skipped
    for (const piece of data instanceof Uint8Array ? [data] : data) {
      bytes.set(piece, at)
      at += piece.length
    }
    const block = (this.#position - skipped) / BLOCK_BYTES
    xsalsa20(this.#key.secret, this.#nonce, bytes, bytes, block)
    this.#position += data.byteLength
    return bytes.subarray(skipped)
  }
}
