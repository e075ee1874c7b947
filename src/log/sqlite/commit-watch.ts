import { type FSWatcher, watch } from 'node:fs'

/**
 * The time between two looks while somebody writes, in milliseconds. The -wal file is written before its
 * fsync, and a commit becomes visible only after it.
 */
const LOOK_MS = 1
/** So many looks without news, and the watch goes on. A commit takes no longer on most disks. */
const VAIN_LOOKS_MAX = 64

/**
 * Calls `look` soon after each commit to a log's -wal file, whichever process wrote.
 *
 * The system's watch only tells that writing has begun. It is closed while there are news, because a watch
 * slows down who writes: by 4 µs for each page, which is half of a commit of a thousand small entries.
 */
export class CommitWatch {
  readonly #walPath: string
  readonly #look: () => boolean
  #watcher: FSWatcher | undefined
  #looking: NodeJS.Timeout | undefined
  #vainLooks = 0
  #isClosed = false

  /**
   * If the system has no watch to give, `look` is never called.
   *
   * @param look returns true if there were news
   */
  constructor(walPath: string, look: () => boolean) {
    this.#walPath = walPath
    this.#look = look
    this.#watch()
  }

  close(): void {
    this.#isClosed = true
    this.#watcher?.close()
    clearInterval(this.#looking)
  }

  #watch(): void {
    try {
      this.#watcher = watch(this.#walPath, () => this.#written())
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      this.#watcher = undefined
    }
  }

  #written(): void {
    if (this.#looking !== undefined || this.#isClosed) return
    this.#watcher?.close()
    this.#vainLooks = 0
    this.#looking = setInterval(() => this.#lookAgain(), LOOK_MS)
  }

  #lookAgain(): void {
    this.#vainLooks = this.#look() ? 0 : this.#vainLooks + 1
    if (this.#isClosed || this.#vainLooks < VAIN_LOOKS_MAX) return
    clearInterval(this.#looking)
    this.#looking = undefined
    this.#watch()
    // A commit between the last look and the watch is not missed.
    this.#look()
  }
}
