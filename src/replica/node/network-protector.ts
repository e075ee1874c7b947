import type { AbortOptions, ConnectionProtector, MessageStream, MultiaddrConnection } from '@libp2p/interface'
import { byteStream } from '@libp2p/utils'
import type { Uint8ArrayList } from 'uint8arraylist'
import { KeyStream } from './key-stream.ts'
import { type NetworkKey, NONCE_BYTES } from './network-key.ts'
import { ProtectedConnection } from './protected-connection.ts'

/** What the side that dialled says first: that it speaks multistream-select. */
const FIRST_WORDS = Buffer.from('\x13/multistream/1.0.0\n')

/**
 * Encrypts every connection with a key that all replicas of a network share: libp2p's private networks, with the
 * bytes on the wire that `@libp2p/pnet` has, and with two keys while one replaces the other.
 *
 * Both sides send 24 bytes that are used once, and encrypt all that follows with XSalsa20. The side that dialled
 * speaks first, in words that are known, so the other one tries each of its keys on them. And the side that
 * dialled sees by the other's 24 bytes which of its keys that one prefers. So two replicas talk if they have one
 * key in common, whichever of them dials, and a connection is never tried twice.
 */
export class NetworkProtector implements ConnectionProtector {
  readonly #keys: readonly NetworkKey[]

  constructor(keys: readonly NetworkKey[]) {
    this.#keys = keys
  }

  /** Rejects when the other side ends the connection, has none of these keys, or says nothing until the signal. */
  async protect(connection: MessageStream, options: AbortOptions = {}): Promise<MessageStream> {
    const inner = connection as MultiaddrConnection
    const bytes = byteStream(inner)
    const ownNonce = this.#keys[0]!.makeNonce()
    const [read] = await Promise.all([
      bytes.read({ bytes: NONCE_BYTES, ...options }),
      bytes.write(ownNonce, options),
    ])
    const nonce = read.slice()
    // With half of all nonces, who has no key takes ours for the beginning of something long, and waits.
    if (FIRST_WORDS.equals(nonce.subarray(0, FIRST_WORDS.length)))
      throw new Error('the other side has no network key')
    const spoken =
      inner.direction === 'outbound' ? undefined : await bytes.read({ bytes: FIRST_WORDS.length, ...options })
    const key = spoken === undefined ? this.#preferredBy(nonce) : this.#spokenWith(nonce, spoken)
    bytes.unwrap()
    if (spoken !== undefined) inner.unshift(spoken)
    return new ProtectedConnection(inner, {
      inbound: new KeyStream(key, nonce),
      outbound: new KeyStream(key, ownNonce),
    })
  }

  /**
   * A nonce that no key made is that of `@libp2p/pnet`, and so of a release that has one key. While keys are
   * replaced that is the older one.
   */
  #preferredBy(nonce: Uint8Array): NetworkKey {
    return this.#keys.find((key) => key.made(nonce)) ?? this.#keys.at(-1)!
  }

  #spokenWith(nonce: Uint8Array, words: Uint8ArrayList): NetworkKey {
    const key = this.#keys.find((key) => FIRST_WORDS.equals(new KeyStream(key, nonce).update(words)))
    if (key === undefined) throw new Error('the other side has another network key, or none')
    return key
  }
}
