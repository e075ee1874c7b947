import { AnchorageError } from '../../errors.ts'

/** No replica of the group has answered a visitor. */
export class NobodyAnswers extends AnchorageError {
  static override readonly code = 'NOBODY_ANSWERS'
  override readonly name = 'NobodyAnswers'
  /** What became of each member that was asked, by its PeerId. */
  readonly faults: ReadonlyMap<string, Error>

  constructor(faults: ReadonlyMap<string, Error>) {
    const told = [...faults].map(([id, { message }]) => `${id}: ${message}`)
    super(
      told.length === 0 ? 'no replica is running' : `no replica answers; ${told.join('; ')}`,
      // What a replica said is worth more than that another could not be reached.
      { cause: [...faults.values()].at(-1) },
    )
    this.faults = faults
  }
}
