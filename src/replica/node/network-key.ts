import { generateKey } from '@libp2p/pnet'

/** Two lines that name the format, and 32 bytes in hexadecimal: the `swarm.key` that IPFS nodes use. */
const FORMAT = /^\/key\/swarm\/psk\/1\.0\.0\/\n\/base16\/\n[0-9a-f]{64}\s*$/i
const NETWORK_KEY_BYTES = 95

/** A new pre-shared key for all replicas of a network. */
export function makeNetworkKey(): Uint8Array {
  const key = new Uint8Array(NETWORK_KEY_BYTES)
  generateKey(key)
  return key
}

export function isNetworkKey(key: unknown): key is Uint8Array {
  return key instanceof Uint8Array && FORMAT.test(Buffer.from(key).toString('latin1'))
}
