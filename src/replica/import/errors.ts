import { AnchorageError } from '../../errors.ts'
import type { Genesis } from '../../group/control.ts'
import { snapshotOf } from './snapshot-name.ts'

/**
 * The log has entries, and a snapshot can only be the first one. The log was left as it is.
 *
 * @example
 * ```ts
 * await importInto({ log, group, file, dataDir }).catch((error) => {
 *   if (error instanceof LogNotEmpty) console.error(`there are ${error.newest} entries already`)
 * })
 * ```
 */
export class LogNotEmpty extends AnchorageError {
  static override readonly code = 'LOG_NOT_EMPTY'
  override readonly name = 'LogNotEmpty'
  /** The index of the newest entry. */
  readonly newest: number
  /** @param begun the snapshot that the log begins with, if it does */
  constructor(newest: number, begun: Genesis | undefined) {
    const state =
      begun === undefined
        ? `has ${newest} ${newest === 1 ? 'entry' : 'entries'} already`
        : `begins with ${snapshotOf(begun)} already`
    super(`the log ${state}, and a snapshot can only be the first one: import into a new log`)
    this.newest = newest
  }
}

/**
 * The data directory has a snapshot that was to be the beginning of the log, but the log does not begin with
 * it: the import was cut off before its last step, or it was too late. A replica that went on would have a
 * state that no other one can have. Nothing was written.
 */
export class ImportUnfinished extends AnchorageError {
  static override readonly code = 'IMPORT_UNFINISHED'
  override readonly name = 'ImportUnfinished'
  /** The file that stands for the snapshot. */
  readonly path: string
  /** @param isEmpty the log has no entry yet */
  constructor(path: string, { isEmpty }: { readonly isEmpty: boolean }) {
    const what = isEmpty
      ? 'the log is still empty, so the import was cut off: import again, into the same log and directory'
      : 'the log begins with something else: give another data directory, or import into another log'
    super(`${path} is the snapshot with which the log was to begin, but ${what}`)
    this.path = path
  }
}
