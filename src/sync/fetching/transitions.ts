import { AnchorageError } from '../../errors.ts'

/** Which states may follow each state. The same as the drawing beside it. */
export type Edges<Status extends string> = Readonly<Record<Status, readonly Status[]>>

/** A step that is not in the drawing: a mistake in this code, and never of a peer. */
export class IllegalTransition extends AnchorageError {
  static override readonly code = 'ILLEGAL_TRANSITION'
  override readonly name = 'IllegalTransition'
  readonly from: string
  readonly to: string
  constructor(what: string, from: string, to: string) {
    super(`${what} cannot go from ${from} to ${to}: this is a mistake in Anchorage, please report it`)
    this.from = from
    this.to = to
  }
}

/** Throws `IllegalTransition` for a step that `edges` do not have. */
export function checkTransition<Status extends string>(
  what: string,
  edges: Edges<Status>,
  from: Status,
  to: Status,
): void {
  if (!edges[from].includes(to)) throw new IllegalTransition(what, from, to)
}
