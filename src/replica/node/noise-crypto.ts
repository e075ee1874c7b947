import { createSecretKey } from 'node:crypto'
import type { ICryptoInterface } from '@chainsafe/libp2p-noise'
import { defaultCrypto, nodeCrypto } from '@chainsafe/libp2p-noise/crypto'
import { Uint8ArrayList } from 'uint8arraylist'

type Plaintext = Parameters<ICryptoInterface['chaCha20Poly1305Encrypt']>[0]

/** Below this, noise's default is faster: WebAssembly, which takes keys as bytes. */
const LONG_BYTES = 1_200

/**
 * The key objects that Node makes, one for each key. Given the bytes of a key, Node would examine them again
 * for every message.
 */
const keyObjects = new WeakMap<Uint8Array, Uint8Array>()

/**
 * Noise's own cryptography, a sixth faster where much is sent and received. The bytes on the wire are the
 * same.
 */
export const noiseCrypto: ICryptoInterface = {
  ...defaultCrypto,
  chaCha20Poly1305Encrypt(plaintext, nonce, ad, key) {
    return plaintext.byteLength < LONG_BYTES
      ? defaultCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, key)
      : nodeCrypto.chaCha20Poly1305Encrypt(inOnePiece(plaintext), nonce, ad, keyObjectOf(key))
  },
  chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, into) {
    return ciphertext.byteLength < LONG_BYTES
      ? defaultCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, into)
      : nodeCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, keyObjectOf(key))
  },
}

/** Node takes two microseconds for each piece beside what it takes for the bytes, so many are put together. */
const PIECES_MAX = 4
/** The most bytes of a message of Noise. */
const joined = new Uint8Array(65_535)

/**
 * The pieces of a message side by side, in memory that is used again: a chunk of packed items comes in pieces of
 * 4 KiB. Node has read it when `update` returns.
 */
function inOnePiece(plaintext: Plaintext): Plaintext {
  if (plaintext instanceof Uint8Array || plaintext.byteLength > joined.length) return plaintext
  const pieces = [...plaintext]
  if (pieces.length <= PIECES_MAX) return plaintext
  let at = 0
  for (const piece of pieces) {
    joined.set(piece, at)
    at += piece.length
  }
  const message: unknown = new Uint8ArrayList(joined.subarray(0, at))
  // noise knows an older release of the list, which differs in nothing that matters here.
  return message as Plaintext
}

/** A `KeyObject`, which `createCipheriv` takes like bytes. Noise's types know only bytes. */
function keyObjectOf(key: Uint8Array): Uint8Array {
  let known = keyObjects.get(key)
  if (known === undefined) {
    known = createSecretKey(key) as unknown as Uint8Array
    keyObjects.set(key, known)
  }
  return known
}
