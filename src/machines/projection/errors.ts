import { AnchorageError } from '../../errors.ts'

/** The state of a projection was written directly. Nothing was written: only messages change it. */
export class ReadOnlyState extends AnchorageError {
  static override readonly code = 'READ_ONLY_STATE'
  override readonly name = 'ReadOnlyState'
  constructor() {
    super(
      'this state is made of the messages of a stream, and nothing else may change it; publish a message: replica.submit(message, { subject })',
    )
  }
}
