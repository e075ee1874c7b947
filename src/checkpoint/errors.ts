import { AnchorageError } from '../errors.ts'
import type { LogMissing } from '../log/errors.ts'

/** A file that is no intact checkpoint: torn, rotten, or something else. */
export class CheckpointDamaged extends AnchorageError {
  static override readonly code = 'CHECKPOINT_DAMAGED'
  override readonly name = 'CheckpointDamaged'
  readonly path: string
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`${path} is no intact checkpoint: ${reason}`, options)
    this.path = path
  }
}

/**
 * A checkpoint of another group, state machine or log, or of a newer version of Anchorage. It is left alone.
 */
export class CheckpointMismatch extends AnchorageError {
  static override readonly code = 'CHECKPOINT_MISMATCH'
  override readonly name = 'CheckpointMismatch'
  readonly path: string
  constructor(path: string, what: string, theirs: string, ours: string) {
    super(
      `${path} is of ${what} ${theirs}, and this replica is of ${ours}: move it away, or use another data directory`,
    )
    this.path = path
  }
}

/**
 * A checkpoint was due, and none was written: the group has no snapshot that it agrees on. It is tried again
 * by itself, after a pause.
 */
export class CheckpointFailed extends AnchorageError {
  static override readonly code = 'CHECKPOINT_FAILED'
  override readonly name = 'CheckpointFailed'
  constructor(why: string, retryMs: number, options?: ErrorOptions) {
    super(`no checkpoint was written: ${why}; the next try is in ${retryMs} ms`, options)
  }
}

/** The newest checkpoint of a data directory. */
export interface HeldState {
  readonly path: string
  /** The position it is of. */
  readonly index: number
  /** Undefined where the file is damaged, and only its name tells. */
  readonly of?: { readonly group: string; readonly epoch: string; readonly items: number }
}

/**
 * The data directory holds the state of another log than the one that was opened, or of one that is gone. A
 * replica that went on would begin with an empty state. Nothing was written, and no log was made.
 */
export class DirectoryOfAnotherLog extends AnchorageError {
  static override readonly code = 'DIRECTORY_OF_ANOTHER_LOG'
  override readonly name = 'DirectoryOfAnotherLog'
  readonly path: string
  readonly held: HeldState
  /** The epoch of the log that was opened; undefined where there is none. */
  readonly epoch: string | undefined
  constructor(path: string, held: HeldState, log: string | LogMissing) {
    const { index, of } = held
    const state =
      of === undefined
        ? 'a state'
        : `${of.items} item${of.items === 1 ? '' : 's'} of the group ${JSON.stringify(of.group)}`
    const theirs = of === undefined ? 'another log' : `the log of epoch ${of.epoch}`
    const isMissing = typeof log !== 'string'
    const found = isMissing ? `there is no log at ${log.place}` : `the log that was opened is of epoch ${log}`
    super(
      `the data directory ${path} holds ${state}, up to entry ${index} of ${theirs}, but ${found}: give each group and replica a directory of its own; or name the right log, put it back, or import ${held.path} into a new one; to go on without that state, give newLog once (--new-log)`,
      isMissing ? { cause: log } : {},
    )
    this.path = path
    this.held = held
    this.epoch = isMissing ? undefined : log
  }
}

/** A data directory that cannot be used: it is not there and cannot be made, or cannot be written. */
export class DirectoryUnusable extends AnchorageError {
  static override readonly code = 'DIRECTORY_UNUSABLE'
  override readonly name = 'DirectoryUnusable'
}

/** A data directory that another live replica uses. */
export class DirectoryInUse extends AnchorageError {
  static override readonly code = 'DIRECTORY_IN_USE'
  override readonly name = 'DirectoryInUse'
  constructor(path: string) {
    super(`${path} is in use by another replica: give each replica a data directory of its own`)
  }
}
