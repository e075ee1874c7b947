import { formatPosition, type Position } from '../position.ts'

/** The machine's `apply` threw. This replica stopped applying there; it still serves what it offers. */
export class ApplyFailed extends Error {
  override readonly name = 'ApplyFailed'
  readonly position: Position
  constructor(position: Position, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(
      `the state machine failed to apply entry ${formatPosition(position)}: ${why}; mend the machine and restart`,
      {
        cause,
      },
    )
    this.position = position
  }
}

/**
 * The state machine refused a snapshot whose root the group sealed: it is of another version than its signature says, or
 * its `capture` and `install` disagree. Fetching it again would be in vain, so this replica stopped.
 */
export class InstallFailed extends Error {
  override readonly name = 'InstallFailed'
  constructor(cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    super(`the state machine cannot install the group's snapshot: ${why}; mend the machine and restart`, {
      cause,
    })
  }
}

/** The log's beginning was pruned and nobody in reach can serve a snapshot: this replica has no state to read. */
export class StateLost extends Error {
  override readonly name = 'StateLost'
  readonly first: number
  constructor(first: number, cause?: unknown) {
    super(
      `the log begins with entry ${first} and no replica within reach holds the state before it; start a replica that does, or a new log`,
      { cause },
    )
    this.first = first
  }
}

/** This replica's state disagreed with the group's sealed root again and again. It has stopped. */
export class Diverged extends Error {
  override readonly name = 'Diverged'
  readonly anchor: Position
  readonly own: Uint8Array
  readonly sealed: Uint8Array
  constructor(anchor: Position, own: Uint8Array, sealed: Uint8Array) {
    super(
      `at ${formatPosition(anchor)} this replica's root is ${hex(own)}, the group's ${hex(sealed)}: its state machine is not deterministic, or of another version`,
    )
    this.anchor = anchor
    this.own = own
    this.sealed = sealed
  }
}

/** There is no state to read yet: the log's beginning was pruned, and no snapshot has been installed. */
export class NotReadable extends Error {
  override readonly name = 'NotReadable'
  constructor() {
    super('this replica has no state yet: await replica.inSync() before reading')
  }
}

export class ReplicaStopped extends Error {
  override readonly name = 'ReplicaStopped'
  constructor() {
    super('the replica was stopped')
  }
}

/** An address in `listen` that this replica cannot listen on: its port is in use, say, or it is not this machine's. */
export class ListenFailed extends Error {
  override readonly name = 'ListenFailed'
  readonly addresses: readonly string[]
  constructor(failed: readonly { readonly address: string; readonly why: string }[]) {
    const what = failed.map(({ address, why }) => `${address} (${why})`).join(', ')
    super(`this replica cannot listen on ${what}; listen on another address or port, 0 for any free one`)
    this.addresses = failed.map(({ address }) => address)
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
