import { AnchorageError } from '../errors.ts'
import { formatPosition, type Position } from '../position.ts'
import { NoProvider } from '../sync/errors.ts'
import { asError } from '../thrown.ts'

/** The machine's `apply` threw. This replica stopped applying there; it still serves what it offers. */
export class ApplyFailed extends AnchorageError {
  static override readonly code = 'APPLY_FAILED'
  override readonly name = 'ApplyFailed'
  /** The entry that could not be applied. */
  readonly position: Position
  constructor(position: Position, cause: unknown) {
    const why = asError(cause).message
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
 * The state machine refused a snapshot whose root the group sealed. It is of another version than its
 * signature says, or its `capture` and `install` disagree. Fetching the snapshot again would be in vain, so
 * this replica stopped.
 */
export class InstallFailed extends AnchorageError {
  static override readonly code = 'INSTALL_FAILED'
  override readonly name = 'InstallFailed'
  constructor(cause: unknown) {
    const why = asError(cause).message
    super(`the state machine cannot install the group's snapshot: ${why}; mend the machine and restart`, {
      cause,
    })
  }
}

/** What a log begins with: a snapshot, or an older version of the machine that this process does not speak. */
export type Beginning =
  | { readonly snapshot: string }
  | { readonly older: string }
  /** Others decide how long they keep the entries. */
  | { readonly keptBy: 'others' }

interface BeginningInWords {
  readonly what: string
  readonly state: string
  readonly holder: string
}

/**
 * The log's beginning was pruned, or is a snapshot or of a version that this program does not speak, and nobody serves
 * the state there. For a whole request timeout no
 * member announced a state, or each that did refused to serve it; `cause` names them. Silence is no refusal:
 * while a member that announces a state does not answer, the replica goes on trying, and tells that in
 * `problem` events. It goes on looking after this error, too.
 */
export class StateLost extends AnchorageError {
  static override readonly code = 'STATE_LOST'
  override readonly name = 'StateLost'
  /** The index of the oldest entry that the log still has. */
  readonly first: number
  /** @param beginning what the log begins with, where that is no entry */
  constructor(first: number, cause?: unknown, beginning?: Beginning) {
    const { what, state, holder } = inWords(first, beginning)
    const why =
      cause instanceof NoProvider && cause.refusals.size > 0
        ? `nobody serves ${state}: ${cause.message}`
        : `no member of the group announces ${state}; ${holder}`
    super(`the log begins with ${what}, and ${why}`, { cause })
    this.first = first
  }
}

function inWords(first: number, beginning: Beginning | undefined): BeginningInWords {
  if (beginning === undefined)
    return {
      what: `entry ${first}`,
      state: 'the state before it',
      holder: 'start a replica that holds it, or a checkpoint of it, or begin a new log',
    }
  if ('keptBy' in beginning)
    return {
      what: `entry ${first}`,
      state: 'the state before it',
      holder:
        "start a replica that holds it, or a checkpoint of it; or begin anew with the messages that the stream's owner still keeps: stop all replicas, remove the bucket of the group's record of the stream, and give from: 'oldest' and newLog",
    }
  if ('snapshot' in beginning)
    return {
      what: beginning.snapshot,
      state: 'it',
      holder: 'start a replica that has it: one on the data directory that it was imported into',
    }
  return {
    what: `commands of ${JSON.stringify(beginning.older)}, which this program does not speak`,
    state: 'a newer state',
    holder: 'start a replica that has one, or a version of the program that speaks it too',
  }
}

/**
 * This replica's state is not the one that the group sealed. It reads nothing of it to anybody, and replaces
 * it. As the reason of a halt: that was in vain three times in ten minutes.
 */
export class Diverged extends AnchorageError {
  static override readonly code = 'DIVERGED'
  override readonly name = 'Diverged'
  /** The position at which the roots were taken. */
  readonly anchor: Position
  /** This replica's root there. */
  readonly own: Uint8Array
  /** The root that the group agreed on. */
  readonly sealed: Uint8Array
  /** @param cause why nobody has served another state yet */
  constructor(anchor: Position, own: Uint8Array, sealed: Uint8Array, cause?: Error) {
    const still = cause === undefined ? '' : `; nobody has served another state yet: ${cause.message}`
    super(
      `at ${formatPosition(anchor)} this replica's root is ${hex(own)}, the group's ${hex(sealed)}: its state machine is not deterministic, or of another version${still}`,
      cause && { cause },
    )
    this.anchor = anchor
    this.own = own
    this.sealed = sealed
  }
}

/**
 * Two processes have this replica's identity: a copy of its data directory, of its key, or of its machine.
 * The one that began later is refused, or halts with this error; the other one tells it in a `problem` event.
 */
export class IdentityInUse extends AnchorageError {
  static override readonly code = 'IDENTITY_IN_USE'
  override readonly name = 'IdentityInUse'
  /** The PeerId that both have. */
  readonly id: string
  constructor(id: string) {
    super(
      `another process runs with this replica's identity, ${id}: a copy of its data directory, or of its key; stop one of them, and remove identity.key from the copy to make it a replica of its own`,
    )
    this.id = id
  }
}

/**
 * There is no state to read yet: the log's beginning was pruned, and no snapshot has been installed. Or the
 * group does not agree with the state, and it is about to be replaced: `cause` is `Diverged` then.
 */
export class NotReadable extends AnchorageError {
  static override readonly code = 'NOT_READABLE'
  override readonly name = 'NotReadable'
  constructor(cause?: Diverged) {
    super(
      cause === undefined
        ? 'this replica has no state yet: await replica.inSync() before reading'
        : `this replica's state is wrong, and waits to be replaced: await replica.inSync() before reading; ${cause.message}`,
      cause && { cause },
    )
  }
}

/**
 * The machine keeps a state on the disk that is of another group or log than this replica's, or of a log that is
 * gone. A replica that went on would apply commands to the wrong state. Nothing was written, and no log was made.
 */
export class StateOfAnotherLog extends AnchorageError {
  static override readonly code = 'STATE_OF_ANOTHER_LOG'
  override readonly name = 'StateOfAnotherLog'
  /** The group that the state is of. */
  readonly group: string
  /** The place in that group's log up to which the state has all entries. */
  readonly position: Position
  constructor(
    { group, position }: { readonly group: string; readonly position: Position },
    found: string,
    cause?: Error,
  ) {
    super(
      `the machine's state is of the group ${JSON.stringify(group)}, up to entry ${position.index} of the log of epoch ${position.epoch}, but ${found}: name the right log and machine, or put the log back; to begin without that state, give newLog once, or the machine another path`,
      cause && { cause },
    )
    this.group = group
    this.position = position
  }
}

/** This replica keeps nothing on a disk, and was asked for what is there. */
export class NoDataDirectory extends AnchorageError {
  static override readonly code = 'NO_DATA_DIRECTORY'
  override readonly name = 'NoDataDirectory'
  constructor(what: string) {
    super(`${what} is of a replica that writes checkpoints: give createReplica() a dataDir`)
  }
}

/**
 * The time that a caller gave, with `AbortSignal.timeout`, is up. The message says where this replica stands
 * and what troubles it. What was waited for may still happen. `cause` is the signal's reason. A signal that
 * aborts for another reason rejects with that.
 */
export class NotInTime extends AnchorageError {
  static override readonly code = 'NOT_IN_TIME'
  override readonly name = 'NotInTime'
  constructor(what: string, standing: string, cause: Error) {
    super(`${what} took longer than it was given: ${standing}`, { cause })
  }
}

/** A replica that stops could not tell the group so: the others wait until its announcement ends. */
export class FarewellFailed extends AnchorageError {
  static override readonly code = 'FAREWELL_FAILED'
  override readonly name = 'FarewellFailed'
  constructor(afterMs: number) {
    super(
      `the presence store took nothing for ${afterMs} ms while this replica stopped: the others take it for a member until its lease ends`,
    )
  }
}

/**
 * The replica was stopped, by `stop()` or at the end of its `await using`. What waited for it rejects with
 * this.
 */
export class ReplicaStopped extends AnchorageError {
  static override readonly code = 'REPLICA_STOPPED'
  override readonly name = 'ReplicaStopped'
  constructor() {
    super('the replica was stopped')
  }
}

/**
 * This replica cannot listen on an address in `listen`: its port is in use, say, or it is not this machine's.
 */
export class ListenFailed extends AnchorageError {
  static override readonly code = 'LISTEN_FAILED'
  override readonly name = 'ListenFailed'
  /** The addresses that it cannot listen on. */
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
