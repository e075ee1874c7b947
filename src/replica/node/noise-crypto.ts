import { createSecretKey } from 'node:crypto'
import type { ICryptoInterface } from '@chainsafe/libp2p-noise'
import { defaultCrypto, nodeCrypto } from '@chainsafe/libp2p-noise/crypto'

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
      : nodeCrypto.chaCha20Poly1305Encrypt(plaintext, nonce, ad, keyObjectOf(key))
  },
  chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, into) {
    return ciphertext.byteLength < LONG_BYTES
      ? defaultCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, key, into)
      : nodeCrypto.chaCha20Poly1305Decrypt(ciphertext, nonce, ad, keyObjectOf(key))
  },
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
