/** A file that is no intact checkpoint: torn, rotten, or something else. */
export class CheckpointDamaged extends Error {
  override readonly name = 'CheckpointDamaged'
  readonly path: string
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(`${path} is no intact checkpoint: ${reason}`, options)
    this.path = path
  }
}

/** A checkpoint of another group, state machine or log, or of a newer version of Anchorage. It is left alone. */
export class CheckpointMismatch extends Error {
  override readonly name = 'CheckpointMismatch'
  readonly path: string
  constructor(path: string, what: string, theirs: string, ours: string) {
    super(
      `${path} is of ${what} ${theirs}, and this replica is of ${ours}: move it away, or use another data directory`,
    )
    this.path = path
  }
}

/** A checkpoint was due, and none was written: the group has no snapshot that it agrees on. It is tried again by itself, after a pause. */
export class CheckpointFailed extends Error {
  override readonly name = 'CheckpointFailed'
  constructor(why: string, retryMs: number, options?: ErrorOptions) {
    super(`no checkpoint was written: ${why}; the next try is in ${retryMs} ms`, options)
  }
}

/** A data directory that cannot be used: it is not there and cannot be made, or cannot be written. */
export class DirectoryUnusable extends Error {
  override readonly name = 'DirectoryUnusable'
}

/** A data directory that another live replica uses. */
export class DirectoryInUse extends Error {
  override readonly name = 'DirectoryInUse'
  constructor(path: string) {
    super(`${path} is in use by another replica: give each replica a data directory of its own`)
  }
}
