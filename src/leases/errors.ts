import { AnchorageError } from '../errors.ts'

/** The data is no snapshot of a lease table. The table is unchanged. */
export class MalformedLeases extends AnchorageError {
  static override readonly code = 'MALFORMED_LEASES'
  override readonly name = 'MalformedLeases'
  constructor(reason: string) {
    super(`this is no snapshot of a lease table: ${reason}`)
  }
}
