import { join, resolve } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { asError } from '../thrown.ts'
import { Belonging } from './belonging.ts'
import { DirectoryInUse, DirectoryUnusable } from './errors.ts'
import type { Storage } from './storage.ts'

/**
 * A directory that belongs to one replica, and to one process at a time:
 *
 *     identity.key    who it is, readable by its owner only
 *     checkpoints/    its state, as of some positions of the log, and chunks/ with the chunks of it
 *     epoch           the log that it was told to go with, where its checkpoints are of another
 *     lock            held while a process uses the directory, and free again when that ends, however it ends
 */
export class DataDirectory implements Disposable {
  readonly path: string
  /** What the directory is on, for those who keep files in it. */
  readonly storage: Storage
  readonly #lock: Disposable

  private constructor(path: string, storage: Storage, lock: Disposable) {
    this.path = path
    this.storage = storage
    this.#lock = lock
  }

  /** Makes it if it is not there. Throws `DirectoryInUse` and `DirectoryUnusable`. */
  static async open(folder: string, storage: Storage): Promise<DataDirectory> {
    // The process may go elsewhere, and a relative path with it.
    const path = resolve(folder)
    try {
      await storage.makeDirectory(join(path, 'checkpoints'), 0o700)
      const lock = await storage.lock(join(path, 'lock'))
      if (lock === undefined) throw new DirectoryInUse(path)
      return new DataDirectory(path, storage, lock)
    } catch (cause) {
      if (cause instanceof DirectoryInUse) throw cause
      throw new DirectoryUnusable(`the data directory ${path} cannot be used: ${asError(cause).message}`, {
        cause,
      })
    }
  }

  get checkpoints(): string {
    return join(this.path, 'checkpoints')
  }

  /** Which log it holds the state of. */
  get belonging(): Belonging {
    return new Belonging(this.path, this.checkpoints, this.storage)
  }

  /** The key that says who this replica is: made on first use, the same ever after. Throws `DirectoryUnusable`. */
  async identity(): Promise<PrivateKey> {
    const kept = await keptIdentity(this.path, this.storage)
    if (kept !== undefined) return kept
    const path = identityPath(this.path)
    try {
      return await this.#makeIdentity(path)
    } catch (cause) {
      throw new DirectoryUnusable(`${path} cannot be written: ${asError(cause).message}`, { cause })
    }
  }

  async #makeIdentity(path: string): Promise<PrivateKey> {
    const key = await generateKeyPair('Ed25519')
    const draft = `${path}.new`
    // A draft that a crash left may have other permissions, and writing it anew would keep them.
    await this.storage.remove(draft)
    await this.storage.write(draft, privateKeyToProtobuf(key), { flush: true })
    await this.storage.rename(draft, path)
    // Others are told of this key soon. A loss of power must not make this replica another one.
    await this.storage.flushDirectory(this.path)
    return key
  }

  [Symbol.dispose](): void {
    this.#lock[Symbol.dispose]()
  }
}

function identityPath(directory: string): string {
  return join(directory, 'identity.key')
}

/** The key that a directory has; undefined for none yet. It need not be open. Throws `DirectoryUnusable`. */
export async function keptIdentity(
  directory: string,
  storage: Pick<Storage, 'read'>,
): Promise<PrivateKey | undefined> {
  const path = identityPath(directory)
  const kept = await storage.read(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined
    throw new DirectoryUnusable(`${path} cannot be read: ${error.message}`, { cause: error })
  })
  if (kept === undefined) return undefined
  try {
    return await soundKey(kept)
  } catch (cause) {
    throw new DirectoryUnusable(`${path} is no key: remove it, and this replica becomes a new one`, { cause })
  }
}

/**
 * The key in these bytes. Throws if its halves do not go together, as in a file that the disk has damaged: no
 * peer would talk to a replica of that key.
 */
async function soundKey(bytes: Uint8Array): Promise<PrivateKey> {
  const key = privateKeyFromProtobuf(bytes)
  const said = await key.sign(bytes)
  if (!(await key.publicKey.verify(bytes, said))) throw new RangeError('its two halves do not go together')
  return key
}
