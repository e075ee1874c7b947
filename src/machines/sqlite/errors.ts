import { AnchorageError } from '../../errors.ts'
import { Refusal } from '../../machine/errors.ts'

/**
 * A command was undone, on every replica alike, and its writer is told. Throw one in `apply` for a mistake in a
 * command: too little money, an unknown account. The machine itself throws it where SQLite finds that a row
 * breaks a constraint or is too large, and for SQL that replicas would not agree on; `cause` then has the error.
 *
 * @example
 * ```ts
 * if (row === undefined) throw new CommandRefused(`there is no account ${id}`)
 * ```
 */
export class CommandRefused extends Refusal {
  static override readonly code = 'COMMAND_REFUSED'
  override readonly name = 'CommandRefused'
}

/**
 * SQL in `apply` or `upgrade` would not do the same on every replica, or would reach beyond the tables of the
 * schema: `random()`, the current time, a `PRAGMA`, a `CREATE TABLE`.
 */
export class SqlNotDeterministic extends AnchorageError {
  static override readonly code = 'SQL_NOT_DETERMINISTIC'
  override readonly name = 'SqlNotDeterministic'
}

/**
 * The schema has something that cannot be replicated, or `upgrade` does not make it of the older one. The
 * message says what, and what to do instead.
 */
export class SchemaRefused extends AnchorageError {
  static override readonly code = 'SCHEMA_REFUSED'
  override readonly name = 'SchemaRefused'
}

/**
 * The folder holds the state of a version of the machine that this one does not speak. Nothing was changed.
 */
export class SchemaChanged extends AnchorageError {
  static override readonly code = 'SCHEMA_CHANGED'
  override readonly name = 'SchemaChanged'
  readonly path: string
  constructor(path: string, theirs: string, ours: readonly string[]) {
    super(
      `${path} holds the state of ${theirs}, and this machine speaks ${ours.join(', ')}: give the schema and name that it was made with, as the newest or in older, or another path`,
    )
    this.path = path
  }
}

/** Another machine, in this process or another one, has its state in this folder. */
export class StateInUse extends AnchorageError {
  static override readonly code = 'STATE_IN_USE'
  override readonly name = 'StateInUse'
  constructor(path: string) {
    super(`${path} is in use by another machine: give each one a path of its own, or close the other one`)
  }
}

/** The folder of a machine cannot be made or written, or what is in it is not a machine's. */
export class StateUnusable extends AnchorageError {
  static override readonly code = 'STATE_UNUSABLE'
  override readonly name = 'StateUnusable'
}
