import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/**
 * What a network's replicas share so that nobody else connects to them: the content of a key file, which holds
 * one key, or two while it is replaced; or such contents side by side.
 */
export type NetworkKeys = Uint8Array | readonly Uint8Array[]

/** The lines before the key in a file: those of the `swarm.key` that IPFS nodes use. */
const HEADER = '/key/swarm/psk/1.0.0/\n/base16/\n'
const KEY_BYTES = 32
const FORMAT = /^(?:\/key\/swarm\/psk\/1\.0\.0\/\s+\/base16\/\s+[0-9a-f]{64}\s*)+$/i
const SECRET = /^[0-9a-f]{64}$/gim
/** The most keys of a network at one time: the new one, and the one that it replaces. */
const KEYS_MAX = 2

/** The first bytes of a nonce, which are random; the others tell whose nonce it is. */
const SALT_BYTES = 16
export const NONCE_BYTES = 24

/** A new key, as the content of a file: for all replicas of a network. */
export function makeNetworkKey(): Uint8Array {
  return Buffer.from(HEADER + randomBytes(KEY_BYTES).toString('hex'))
}

/** The keys in a file's content, in order. Throws `RangeError`. */
export function networkKeysIn(content: unknown): NetworkKey[] {
  const contents: readonly unknown[] = Array.isArray(content) ? content : [content]
  const keys = contents.flatMap(parse)
  if (keys.length === 0) throw new RangeError('networkKey is an empty list; leave it out, or give a key')
  if (keys.length > KEYS_MAX)
    throw new RangeError(`networkKey holds ${keys.length} keys; at most ${KEYS_MAX} are in use at one time`)
  if (new Set(keys.map(({ fingerprint }) => fingerprint)).size < keys.length)
    throw new RangeError('networkKey holds the same key twice')
  return keys
}

function parse(content: unknown): NetworkKey[] {
  const text = content instanceof Uint8Array ? Buffer.from(content).toString('latin1') : ''
  if (!FORMAT.test(text)) throw new RangeError('networkKey is no key as `anchorage network-key` makes one')
  return (text.match(SECRET) ?? []).map((secret) => new NetworkKey(Buffer.from(secret, 'hex')))
}

/** One pre-shared key. */
export class NetworkKey {
  /** The 32 bytes. */
  readonly secret: Uint8Array

  constructor(secret: Uint8Array) {
    this.secret = secret
  }

  /** Eight hexadecimal digits, which tell keys apart, and nothing of the key to who does not have it. */
  get fingerprint(): string {
    return createHash('sha256').update('anchorage network key').update(this.secret).digest('hex').slice(0, 8)
  }

  /** As the content of a file. */
  get content(): string {
    return HEADER + Buffer.from(this.secret).toString('hex')
  }

  /**
   * A nonce that is used once. Who has the key sees that this key made it; to all others it is random. It is
   * as good as 24 random bytes: XSalsa20 makes the key of a stream from the first 16, which repeat after 2^64
   * connections.
   */
  makeNonce(): Uint8Array {
    const salt = randomBytes(SALT_BYTES)
    return Buffer.concat([salt, this.#mark(salt)])
  }

  /** False for a nonce of another key, and for one of libp2p's own, which is of no key. */
  made(nonce: Uint8Array): boolean {
    return timingSafeEqual(nonce.subarray(SALT_BYTES), this.#mark(nonce.subarray(0, SALT_BYTES)))
  }

  #mark(salt: Uint8Array): Uint8Array {
    const mac = createHmac('sha256', this.secret).update('anchorage nonce').update(salt).digest()
    return mac.subarray(0, NONCE_BYTES - SALT_BYTES)
  }
}
