import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { Belonging } from './belonging.ts'
import { DirectoryInUse, DirectoryUnusable } from './errors.ts'
import { makeDirectory } from './make-directory.ts'

const SQLITE_BUSY = 5

/**
 * A directory that belongs to one replica, and to one process at a time:
 *
 *     identity.key    who it is, readable by its owner only
 *     checkpoints/    its state, as of some positions of the log
 *     epoch           the log that it was told to go with, where its checkpoints are of another
 *     lock            held while a process uses the directory; the system lets go of it when that ends, however it ends
 */
export class DataDirectory implements Disposable {
  readonly path: string
  readonly #lock: DatabaseSync

  private constructor(path: string, lock: DatabaseSync) {
    this.path = path
    this.#lock = lock
  }

  /** Makes it if it is not there. Throws `DirectoryInUse` and `DirectoryUnusable`. */
  static async open(folder: string): Promise<DataDirectory> {
    // The process may go elsewhere, and a relative path with it.
    const path = resolve(folder)
    try {
      await makeDirectory(join(path, 'checkpoints'), 0o700)
      // SQLite's locks are the one kind of file lock that Node brings; nothing is ever written to this database.
      const lock = new DatabaseSync(join(path, 'lock'), { timeout: 0 })
      try {
        lock.exec('BEGIN EXCLUSIVE')
      } catch (cause) {
        lock.close()
        if ((cause as { errcode?: number }).errcode === SQLITE_BUSY) throw new DirectoryInUse(path)
        throw cause
      }
      return new DataDirectory(path, lock)
    } catch (cause) {
      if (cause instanceof DirectoryInUse) throw cause
      throw new DirectoryUnusable(`the data directory ${path} cannot be used: ${(cause as Error).message}`, {
        cause,
      })
    }
  }

  get checkpoints(): string {
    return join(this.path, 'checkpoints')
  }

  /** Which log it holds the state of. */
  get belonging(): Belonging {
    return new Belonging(this.path, this.checkpoints)
  }

  /** The key that says who this replica is: made on first use, the same ever after. */
  async identity(): Promise<PrivateKey> {
    const path = join(this.path, 'identity.key')
    const kept = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw new DirectoryUnusable(`${path} cannot be read: ${error.message}`, { cause: error })
    })
    if (kept !== undefined) {
      try {
        return privateKeyFromProtobuf(kept)
      } catch (cause) {
        throw new DirectoryUnusable(`${path} is no key: remove it, and this replica becomes a new one`, {
          cause,
        })
      }
    }
    const key = await generateKeyPair('Ed25519')
    const draft = `${path}.new`
    await writeFile(draft, privateKeyToProtobuf(key), { mode: 0o600, flush: true })
    await chmod(draft, 0o600)
    await rename(draft, path)
    return key
  }

  [Symbol.dispose](): void {
    this.#lock.close()
  }
}
