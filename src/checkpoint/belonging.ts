import { join } from 'node:path'
import type { LogMissing } from '../log/errors.ts'
import { hash } from '../snapshot/hash.ts'
import { totalItems } from '../snapshot/manifest.ts'
import { DirectoryOfAnotherLog, type HeldState } from './errors.ts'
import { openCheckpoint } from './file.ts'
import type { Storage } from './storage.ts'

/**
 * A checkpoint's file name: its index, and a part of its epoch's hash, as
 * `0000000000001234-1a2b3c4d.checkpoint`.
 */
const NAME = /^(\d{16})-([0-9a-f]{8})\.checkpoint$/
const INDEX_DIGITS = 16
const TAG_BYTES = 4

/** What the name of a checkpoint tells. */
export interface Named {
  readonly name: string
  readonly index: number
  /** Tells the epochs of logs apart. */
  readonly tag: string
}

export function epochTag(epoch: string): string {
  return Buffer.from(hash('anchorage 2026 epoch tag 1', Buffer.from(epoch)))
    .subarray(0, TAG_BYTES)
    .toString('hex')
}

export function checkpointName(index: number, tag: string): string {
  return `${String(index).padStart(INDEX_DIGITS, '0')}-${tag}.checkpoint`
}

/** The checkpoints among the files of a directory, newest first. */
export function checkpointsAmong(names: readonly string[]): Named[] {
  return names
    .flatMap((name) => {
      const [, index, tag] = NAME.exec(name) ?? []
      return index === undefined || tag === undefined ? [] : [{ name, index: Number(index), tag }]
    })
    .sort((a, b) => b.index - a.index)
}

/**
 * Which log a data directory belongs to: that of its checkpoints. The file `epoch` names another log that it
 * was told to go with, for as long as it has no checkpoint of that one.
 */
export class Belonging {
  readonly #path: string
  readonly #directory: string
  readonly #storage: Storage

  /** The data directory, and its folder of checkpoints. */
  constructor(path: string, directory: string, storage: Storage) {
    this.#path = path
    this.#directory = directory
    this.#storage = storage
  }

  /** Whether there are checkpoints, of any log. */
  async holdsState(): Promise<boolean> {
    return (await this.#checkpoints()).length > 0
  }

  /**
   * Check that this is the log of the directory's state. Throws `DirectoryOfAnotherLog` where no checkpoint
   * is of the log that was found, and where there are checkpoints but no log.
   * @param found the epoch of the log that was opened, or why there is none
   */
  async assert(found: string | LogMissing): Promise<void> {
    const checkpoints = await this.#checkpoints()
    if (checkpoints.length === 0) return
    if (typeof found === 'string') {
      const tag = epochTag(found)
      if (checkpoints.some((checkpoint) => checkpoint.tag === tag)) return
      if ((await this.#told()) === found) return
    }
    throw new DirectoryOfAnotherLog(this.#path, await this.#newest(checkpoints), found)
  }

  /** Have the directory go with this log from now on, even if its checkpoints are of another one. */
  async tell(epoch: string): Promise<void> {
    const file = join(this.#path, 'epoch')
    const draft = `${file}.new`
    await this.#storage.write(draft, Buffer.from(`${epoch}\n`), { flush: true })
    await this.#storage.rename(draft, file)
    await this.#storage.flushDirectory(this.#path)
  }

  async #told(): Promise<string | undefined> {
    return await this.#storage.read(join(this.#path, 'epoch')).then(
      (bytes) => bytes.toString().trim(),
      () => undefined,
    )
  }

  async #checkpoints(): Promise<Named[]> {
    return checkpointsAmong(await this.#storage.list(this.#directory))
  }

  async #newest(checkpoints: readonly Named[]): Promise<HeldState> {
    for (const { name } of checkpoints) {
      try {
        await using reader = await openCheckpoint(join(this.#directory, name), this.#storage)
        const { path, group, position, manifest } = reader
        return {
          path,
          index: position.index,
          of: { group, epoch: position.epoch, items: totalItems(manifest) },
        }
      } catch {
        // A damaged one is found out when it is loaded. An older one may still tell whose state it is.
      }
    }
    const { name, index } = checkpoints[0]!
    return { path: join(this.#directory, name), index }
  }
}
