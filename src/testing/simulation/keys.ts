import { generateKeyPairFromSeed, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'

const keys: PrivateKey[] = []

/** One after the other: two runs that begin at once must not make the same key twice. */
let preparing: Promise<void> = Promise.resolve()

/** Make the keys 0 up to `count`. They are the same in every process. */
export function prepareKeys(count: number): Promise<void> {
  preparing = preparing.then(() => make(count))
  return preparing
}

async function make(count: number): Promise<void> {
  for (let n = keys.length; n < count; n++) {
    const seed = new Uint8Array(32)
    new DataView(seed.buffer).setUint32(0, n)
    keys.push(await generateKeyPairFromSeed('Ed25519', seed))
  }
}

/** Throws `RangeError` for a key that was not prepared. */
export function keyAt(n: number): PrivateKey {
  const key = keys[n]
  if (key === undefined) throw new RangeError(`key ${n} is not prepared; there are ${keys.length}`)
  return key
}

/** The key as a file `identity.key` holds it. */
export function keyBytes(n: number): Uint8Array {
  return privateKeyToProtobuf(keyAt(n))
}
