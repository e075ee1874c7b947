import { AnchorageError } from '../../errors.ts'
import { Refusal } from '../../machine/errors.ts'
import type { MalformedCommand } from '../../machine/machine.ts'

/** Machines were given to `compose` that cannot be composed. The message says why. */
export class BadComposition extends AnchorageError {
  static override readonly code = 'BAD_COMPOSITION'
  override readonly name = 'BadComposition'
}

/** A command is for a machine that is no part of the composition. Nothing was written. */
export class UnknownPart extends AnchorageError {
  static override readonly code = 'UNKNOWN_PART'
  override readonly name = 'UnknownPart'
  /** Which of the commands, from 0. */
  readonly at: number
  constructor(at: number) {
    super(`command ${at} is for a machine that is no part of this composition; take it from state.commands`)
    this.at = at
  }
}

/** A part cannot undo commands, so none of its commands can be one of several. Nothing has changed. */
export class NotTransactional extends Refusal {
  static override readonly code = 'NOT_TRANSACTIONAL'
  override readonly name = 'NotTransactional'
  /** The part's name. */
  readonly part: string
  constructor(part: string) {
    super(
      `the part ${part} cannot undo a command, because its machine has no transaction; ` +
        'write to it alone, or give its machine one',
    )
    this.part = part
  }
}

/** One of several commands was refused, so none of them was applied, on any replica. */
export class BatchRefused extends Refusal {
  static override readonly code = 'BATCH_REFUSED'
  override readonly name = 'BatchRefused'
  /** Which of the commands, from 0. */
  readonly at: number
  /** The name of the part that it is for. */
  readonly part: string
  /** Why. */
  override readonly cause: Refusal | MalformedCommand
  constructor(at: number, part: string, cause: Refusal | MalformedCommand) {
    super(`command ${at}, for ${part}, was refused, so none was applied: ${cause.message}`)
    this.at = at
    this.part = part
    this.cause = cause
  }
}
