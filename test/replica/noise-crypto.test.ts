import { randomBytes } from 'node:crypto'
import { defaultCrypto } from '@chainsafe/libp2p-noise/crypto'
import { Uint8ArrayList } from 'uint8arraylist'
import { describe, expect, test } from 'vitest'
import { noiseCrypto } from '../../src/replica/node/noise-crypto.ts'

const KEY = new Uint8Array(randomBytes(32))
const NONCE = new Uint8Array(randomBytes(12))
const AD = new Uint8Array(randomBytes(8))
const LENGTHS = [0, 1, 1_183, 1_184, 1_199, 1_200, 65_519]

describe.each(LENGTHS)('a message of %i bytes', (length) => {
  const message = new Uint8Array(randomBytes(length))

  test('passes the wire as noise itself would send it', () => {
    const theirs = defaultCrypto.chaCha20Poly1305Encrypt(message, NONCE, AD, KEY).subarray()
    // In pieces, as a multiplexer hands it over, and more than once, since a key is kept.
    const pieces = new Uint8ArrayList(message.subarray(0, 9), message.subarray(9))
    // noise knows an older release of the list, which differs in nothing that matters here.
    // A chunk of packed items comes in many pieces. Two messages in a row are put together in the same memory.
    const many = new Uint8ArrayList(...Array.from({ length: 20 }, (_, n) => sliceOf(message, n, 20)))
    const sends = [message, pieces as never, many as never, many as never, message]
    for (const sent of sends) {
      const ours = noiseCrypto.chaCha20Poly1305Encrypt(sent, NONCE, AD, KEY).subarray()
      expect(Buffer.compare(ours, theirs)).toBe(0)
      expect(
        Buffer.compare(noiseCrypto.chaCha20Poly1305Decrypt(theirs, NONCE, AD, KEY).subarray(), message),
      ).toBe(0)
    }
  })

  test('is refused under another key, and where a bit is wrong', () => {
    const sent = noiseCrypto.chaCha20Poly1305Encrypt(message, NONCE, AD, KEY).subarray()
    const other = KEY.slice()
    other[0]! ^= 1
    expect(() => noiseCrypto.chaCha20Poly1305Decrypt(sent, NONCE, AD, other)).toThrow()
    const wrong = sent.slice()
    wrong[wrong.length - 1]! ^= 1
    expect(() => noiseCrypto.chaCha20Poly1305Decrypt(wrong, NONCE, AD, KEY)).toThrow()
  })
})

/** Part `n` of `count` of some bytes. */
function sliceOf(bytes: Uint8Array, n: number, count: number): Uint8Array {
  return bytes.subarray(Math.floor((n * bytes.length) / count), Math.floor(((n + 1) * bytes.length) / count))
}
