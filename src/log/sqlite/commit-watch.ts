import { type FSWatcher, watch } from 'node:fs'

/**
 * The first look after a write, in milliseconds. The -wal file is written before its fsync, and a commit
 * becomes visible only after it. So there are several looks, each after twice as long as the one before.
 */
const LOOK_FIRST_MS = 1
/** The last look after a write, in milliseconds. After that only the reader's poll finds the commit. */
const LOOK_LAST_MS = 32

/** Calls `look` soon after each write to a log's -wal file, whichever process wrote. */
export class CommitWatch {
  readonly #look: () => void
  readonly #watcher: FSWatcher | undefined
  #next: NodeJS.Timeout | undefined
  #delayMs = 0

  /** If the system has no watch to give, `look` is never called. */
  constructor(walPath: string, look: () => void) {
    this.#look = look
    try {
      this.#watcher = watch(walPath, () => this.#written())
      this.#watcher.on('error', () => this.close())
    } catch {
      this.#watcher = undefined
    }
  }

  close(): void {
    this.#watcher?.close()
    clearTimeout(this.#next)
  }

  #written(): void {
    // A commit writes many times within a moment. A look is already due at its end.
    if (this.#next && this.#delayMs === LOOK_FIRST_MS) return
    this.#look()
    clearTimeout(this.#next)
    this.#lookIn(LOOK_FIRST_MS)
  }

  #lookIn(delayMs: number): void {
    this.#delayMs = delayMs
    this.#next = setTimeout(() => {
      this.#next = undefined
      this.#look()
      if (delayMs < LOOK_LAST_MS) this.#lookIn(delayMs * 2)
    }, delayMs)
  }
}
