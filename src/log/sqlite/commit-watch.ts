import { type FSWatcher, watch } from 'node:fs'

/** The time between two looks while somebody writes, in milliseconds. */
const LOOK_MS = 1
/**
 * So many looks without news, and the watch goes on: whoever writes commit after commit has written by then. With 64
 * logs open on one machine and a commit each 20 ms, a look each millisecond takes all of two processors.
 */
const VAIN_LOOKS_MAX = 2
/**
 * How long a commit takes on most disks, in milliseconds. The -wal file is written before its fsync, and a commit
 * becomes visible only after it.
 */
const COMMIT_MS = 64

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
  /** The commit whose writing the watch told of is not visible yet. */
  #isAwaited = false
  #isClosed = false

  /**
   * If the system has no watch to give, `look` is never called.
   *
   * @param look returns true if there were news
   */
  constructor(walPath: string, look: () => boolean) {
    this.#walPath = walPath
    this.#look = look
    this.#watcher = this.#watch()
  }

  close(): void {
    this.#isClosed = true
    this.#watcher?.close()
    clearTimeout(this.#looking)
  }

  #watch(): FSWatcher | undefined {
    try {
      const watcher = watch(this.#walPath, () => this.#written())
      return watcher.on('error', () => watcher.close())
    } catch {
      return undefined
    }
  }

  #unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }

  #written(): void {
    if (this.#isClosed) return
    this.#unwatch()
    this.#isAwaited = true
    this.#vainLooks = 0
    this.#lookIn(LOOK_MS)
  }

  #lookIn(ms: number): void {
    clearTimeout(this.#looking)
    this.#looking = setTimeout(() => this.#lookAgain(ms), ms)
  }

  #lookAgain(afterMs: number): void {
    if (this.#look()) {
      this.#unwatch()
      this.#isAwaited = false
      this.#vainLooks = 0
    } else this.#vainLooks++
    if (this.#isClosed) return
    if (this.#vainLooks < (this.#isAwaited ? COMMIT_MS / LOOK_MS : VAIN_LOOKS_MAX))
      return this.#lookIn(LOOK_MS)
    // What is being written already wakes no watch: these looks find it, in four times the time that it takes at most.
    this.#watcher ??= this.#watch()
    if (afterMs < COMMIT_MS) this.#lookIn(4 * afterMs)
  }
}
