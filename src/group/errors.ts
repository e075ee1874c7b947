import { AnchorageError } from '../errors.ts'
import { formatPosition, type Position } from '../position.ts'

/**
 * The group has gone over to a version that this process does not speak. It applies nothing from there on,
 * and harms nobody: it still serves what it offers.
 */
export class UpgradeRequired extends AnchorageError {
  static override readonly code = 'UPGRADE_REQUIRED'
  override readonly name = 'UpgradeRequired'
  /** The signature that the group speaks. */
  readonly active: string
  /** The signatures that this process speaks, the newest first. */
  readonly speaks: readonly string[]

  constructor(
    active: string,
    speaks: readonly string[],
    what = `the group speaks ${JSON.stringify(active)}`,
  ) {
    const ours = speaks.map((signature) => JSON.stringify(signature)).join(', ')
    super(
      `${what}, and this program speaks ${ours}: install the version of the program, or of anchorage, that the other replicas run, and restart`,
    )
    this.active = active
    this.speaks = speaks
  }
}

/**
 * A command was applied after the position that a write expected to be the newest. The write changed nothing on
 * any replica, and never will. Read the state again, decide again, and write with the new position.
 */
export class Conflict extends AnchorageError {
  static override readonly code = 'CONFLICT'
  override readonly name = 'Conflict'
  /** What the write expected. */
  readonly expected: Position
  /** The newest command before the write. */
  readonly newest: Position

  constructor(expected: Position, newest: Position) {
    super(
      `the write expected no command after entry ${expected.index}, and ${formatPosition(newest)} is one: read the state again, and decide again`,
    )
    this.expected = expected
    this.newest = newest
  }
}

/**
 * The group speaks an older format than this process, and in that there is no such thing as was asked for.
 * Nothing was written.
 */
export class GroupOutdated extends AnchorageError {
  static override readonly code = 'GROUP_OUTDATED'
  override readonly name = 'GroupOutdated'
  /** The format that the group speaks. */
  readonly format: number

  constructor(what: string, format: number) {
    super(
      `the group speaks format ${format}, in which there are no ${what}: it goes over to a newer one when no member's anchorage is older than that, by itself or by replica.upgrade()`,
    )
    this.format = format
  }
}

/** The group cannot go over to that version: the message says why. Nothing was written. */
export class UpgradeRefused extends AnchorageError {
  static override readonly code = 'UPGRADE_REFUSED'
  override readonly name = 'UpgradeRefused'
}
