import { AnchorageError } from '../errors.ts'

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
