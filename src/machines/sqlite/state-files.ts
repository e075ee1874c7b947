import { closeSync, fsyncSync, mkdirSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { asError } from '../../thrown.ts'
import { StateInUse, StateUnusable } from './errors.ts'

/** A state's file: `state.3.db`. A greater number is a later state, whole from the moment that it has its name. */
const NAME = /^state\.(\d+)\.db$/
/** All that may belong to a state, or to one that was being built: `state.3.db-wal`, `state.4.1.new`. */
const ANY = /^state\.\d+\.(db|db-wal|db-shm|\d+\.new|\d+\.new-journal)$/
const SQLITE_BUSY = 5

/** The system's calls by which a new state takes the place of the old one. */
export interface FileCalls {
  flush(path: string): void
  rename(from: string, to: string): void
  remove(path: string): void
}

export const systemCalls: FileCalls = {
  flush(path) {
    const file = openSync(path, 'r')
    try {
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
  },
  rename: renameSync,
  remove: (path) => rmSync(path, { force: true }),
}

/**
 * The files of one machine, in a folder of its own. Each state that was installed has a file with a name of its
 * own, so that no `-wal` of an old state can ever be read into a new one. The newest file is the state. A new
 * one gets its name when it is on the disk, whole, and the old ones are removed after that.
 */
export class StateFiles implements Disposable {
  readonly path: string
  readonly #calls: FileCalls
  readonly #lock: DatabaseSync
  #newest: number
  #drafts = 0

  /** Throws `StateInUse` and `StateUnusable`. Removes what an install that was cut off has left. */
  constructor(folder: string, calls: FileCalls = systemCalls) {
    this.path = resolve(folder)
    this.#calls = calls
    try {
      const made = mkdirSync(this.path, { recursive: true })
      if (made !== undefined) calls.flush(dirname(made))
      this.#lock = lock(this.path)
    } catch (cause) {
      if (cause instanceof StateInUse) throw cause
      throw new StateUnusable(`the folder ${this.path} cannot be used: ${asError(cause).message}`, { cause })
    }
    this.#newest = Math.max(0, ...this.#names().map((name) => Number(NAME.exec(name)?.[1] ?? 0)))
    for (const name of this.#names()) this.#removeUnlessNewest(name)
  }

  /** The file of the state; undefined if there is none. */
  get current(): string | undefined {
    return this.#newest === 0 ? undefined : this.#fileOf(this.#newest)
  }

  /** A path for a state that is being built. Nothing is there. */
  draft(): string {
    return join(this.path, `state.${this.#newest + 1}.${++this.#drafts}.new`)
  }

  /** Bring a closed draft to the disk, so that `promote` finds little to do. */
  async flush(draft: string): Promise<void> {
    const file = await open(draft, 'r')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
  }

  /** A draft is not wanted any more. */
  drop(draft: string): void {
    for (const file of [draft, `${draft}-journal`]) this.#calls.remove(file)
  }

  /**
   * A closed draft is the state now, also after a loss of power. If this throws, the old state goes on, and the
   * next start finds either.
   */
  promote(draft: string): string {
    this.#calls.flush(draft)
    const path = this.#fileOf(this.#newest + 1)
    this.#calls.rename(draft, path)
    this.#calls.flush(this.path)
    this.#newest++
    return path
  }

  /** Remove the states before the current one. Whoever has them open may go on to read them. */
  removeOld(): void {
    for (const name of this.#names()) if (!name.includes('.new')) this.#removeUnlessNewest(name)
  }

  /** Keep the current state's file under a name that no machine takes for a state. It must be closed. */
  setAside(): string {
    const aside = join(this.path, `aside.${this.#newest}.db`)
    this.#calls.rename(this.#fileOf(this.#newest), aside)
    return aside
  }

  [Symbol.dispose](): void {
    if (this.#lock.isOpen) this.#lock.close()
  }

  #removeUnlessNewest(name: string): void {
    if (this.#newest > 0 && name.startsWith(`state.${this.#newest}.db`)) return
    try {
      this.#calls.remove(join(this.path, name))
    } catch {
      // A system that does not remove open files has it removed by the next start.
    }
  }

  #names(): string[] {
    return readdirSync(this.path).filter((name) => ANY.test(name))
  }

  #fileOf(number: number): string {
    return join(this.path, `state.${number}.db`)
  }
}

/** SQLite's locks are the one kind of file lock that Node brings. They end with the process, however it ends. */
function lock(folder: string): DatabaseSync {
  const database = new DatabaseSync(join(folder, 'lock'), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
    return database
  } catch (cause) {
    database.close()
    if (((cause as { errcode?: number }).errcode ?? 0) % 256 === SQLITE_BUSY) throw new StateInUse(folder)
    throw cause
  }
}
