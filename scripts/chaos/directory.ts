import { cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Bytes that a rotten file has wrong. */
const ROTTEN_BYTES = 8
/** The lock file has no content to damage. */
const SOUND = ['lock']
/** Of damaged files, this part is cut short, as by a write that a crash tore. */
const TORN = 1 / 3

/** A replica's data directory, as somebody treats it who does not know what it is. */
export class Directory {
  readonly path: string
  readonly #backup: string

  constructor(path: string) {
    this.path = path
    this.#backup = `${path}.backup`
  }

  async make(): Promise<void> {
    await mkdir(this.path, { recursive: true })
  }

  async wipe(): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }

  /** Keep a copy, which replaces an older one. The process may be using the directory. */
  async backUp(): Promise<void> {
    await rm(this.#backup, { recursive: true, force: true })
    // Checkpoints come and go meanwhile: a copy that misses one of them is as good.
    await cp(this.path, this.#backup, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }

  /** Put the copy in the directory's place. False if there is none. */
  async restore(): Promise<boolean> {
    const isThere = await stat(this.#backup).then(
      () => true,
      () => false,
    )
    if (!isThere) return false
    await this.wipe()
    await cp(this.#backup, this.path, { recursive: true })
    return true
  }

  /** Damage a file. Resolves with what was done, in words. `where` is from 0 up to 1. */
  async corrupt(where: number): Promise<string> {
    const files = await this.#files()
    if (files.length === 0) return 'there is no file to damage'
    const chosen = where * files.length
    const name = files[Math.floor(chosen)]!
    const path = join(this.path, name)
    const within = chosen % 1
    const { size } = await stat(path)
    if (within < TORN) {
      await truncate(path, Math.floor((size * within) / TORN))
      return `${name} is cut short`
    }
    const bytes = await readFile(path)
    const from = Math.floor((size * (within - TORN)) / (1 - TORN))
    for (let at = from; at < Math.min(size, from + ROTTEN_BYTES); at++) bytes[at] = bytes[at]! ^ 0xff
    await writeFile(path, bytes)
    return `${name} is rotten at byte ${from}`
  }

  /** The names of all files, the same for the same directory. */
  async #files(): Promise<string[]> {
    const entries = await readdir(this.path, { recursive: true, withFileTypes: true }).catch(() => [])
    return entries
      .filter((entry) => entry.isFile() && !SOUND.includes(entry.name))
      .map((entry) => join(entry.parentPath, entry.name).slice(this.path.length + 1))
      .sort()
  }
}
