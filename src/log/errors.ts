import { AnchorageError } from '../errors.ts'

/** What any error of a log can say. */
export interface LogErrorOptions extends ErrorOptions {
  /** The log's place: its file, or its stream and servers. Never with a password. */
  readonly place?: string
}

/** A log did not do something. The message says why, and begins with the place if there is one. */
export class LogError extends AnchorageError {
  static override readonly code: string = 'LOG_ERROR'
  override readonly name: string = 'LogError'
  /** The log's place: its file, or its stream and servers. */
  readonly place?: string
  constructor(message: string, { place, ...options }: LogErrorOptions = {}) {
    super(place === undefined ? message : `${place}: ${message}`, options)
    if (place !== undefined) this.place = place
  }
}

/** The next entry the reader needs has been pruned. A replica then asks its peers for a snapshot. */
export class LogTruncated extends LogError {
  static override readonly code = 'LOG_TRUNCATED'
  override readonly name = 'LogTruncated'
  /** The index of the entry that the reader needs. */
  readonly wanted: number
  /** The oldest entry that the log still has. */
  readonly first: number
  constructor(wanted: number, first: number, options?: LogErrorOptions) {
    super(`entry ${wanted} has been pruned: the log begins with ${first}; catch up from a snapshot`, options)
    this.wanted = wanted
    this.first = first
  }
}

/** The log is gone, or is another incarnation than the one that was opened. */
export class EpochChanged extends LogError {
  static override readonly code = 'EPOCH_CHANGED'
  override readonly name = 'EpochChanged'
  /** The epoch that the handle was opened with. */
  readonly expected: string
  /** The epoch that the log has now. Undefined if the log does not exist any more. */
  readonly found: string | undefined
  constructor(expected: string, found: string | undefined, options?: LogErrorOptions) {
    super(
      found === undefined
        ? `the log of epoch ${expected} was deleted; restore it, or start this replica anew on another log`
        : `the log was made anew: its epoch is ${found}, this replica follows ${expected}; restore the old log, or start this replica anew`,
      options,
    )
    this.expected = expected
    this.found = found
  }
}

/**
 * The log was put back to an older state. It ends before what was read from it, or holds another entry there.
 */
export class LogRewound extends LogError {
  static override readonly code = 'LOG_REWOUND'
  override readonly name = 'LogRewound'
  /** The index of the newest entry that was read from it. */
  readonly index: number
  /** The index of the log's newest entry now. */
  readonly newest: number
  constructor(index: number, newest: number, options?: LogErrorOptions) {
    super(
      newest < index
        ? `the log ends at ${newest}, but entry ${index} was already read from it: it was put back to an older state; restore the newer log, or start this replica anew`
        : `entry ${index} of the log is not the one that was read there: the log was put back and written again, or its servers came apart; restore the newer log, or start this replica anew`,
      options,
    )
    this.index = index
    this.newest = newest
  }
}

/**
 * An append whose outcome is unknown: it may have been committed or not. It is not repeated blindly; look in
 * the log.
 */
export class AppendUncertain extends LogError {
  static override readonly code = 'APPEND_UNCERTAIN'
  override readonly name = 'AppendUncertain'
  constructor(message: string, options?: LogErrorOptions) {
    super(`${message}; the entries may or may not be in the log: read it before appending again`, options)
  }
}

/** The log's lock could not be had in time. Nothing was written. */
export class LogBusy extends LogError {
  static override readonly code = 'LOG_BUSY'
  override readonly name = 'LogBusy'
  /** How long it was waited for, in milliseconds. */
  readonly waitedMs: number
  constructor(waitedMs: number, options?: LogErrorOptions) {
    super(`the log was locked by another process for ${waitedMs} ms; nothing was written, try again`, options)
    this.waitedMs = waitedMs
  }
}

/** The handle was closed. */
export class LogClosed extends AnchorageError {
  static override readonly code = 'LOG_CLOSED'
  override readonly name = 'LogClosed'
  constructor() {
    super('the log was closed')
  }
}

/** An entry or a presence is larger than the log's limit. Nothing was written. */
export class EntryTooLarge extends LogError {
  static override readonly code = 'ENTRY_TOO_LARGE'
  override readonly name = 'EntryTooLarge'
  /** The size of what is too large, in bytes. */
  readonly bytes: number
  /** The log's limit, in bytes. */
  readonly maxBytes: number
  /** @param options `what` is too large; default: an entry */
  constructor(bytes: number, maxBytes: number, options: LogErrorOptions & { what?: 'a notice' } = {}) {
    const { what = 'an entry', ...rest } = options
    const advice = what === 'an entry' ? 'split the command' : 'listen on fewer addresses'
    super(`${what} of ${bytes} bytes is beyond the log's limit of ${maxBytes}; ${advice}`, rest)
    this.bytes = bytes
    this.maxBytes = maxBytes
  }
}

/** What a `LogMismatch` can say beside the two values that differ. */
export interface LogMismatchOptions extends LogErrorOptions {
  /** The older versions that this program speaks too. */
  readonly older?: readonly string[]
  /** The signature that the log was made for, if its group has gone over to another since. */
  readonly made?: string
  /** How to get another log. */
  readonly another?: string
}

/**
 * The log belongs to another group, or to a kind or version of state machine that this program does not
 * speak. Nothing was written.
 */
export class LogMismatch extends LogError {
  static override readonly code = 'LOG_MISMATCH'
  override readonly name = 'LogMismatch'
  /** What differs. */
  readonly field: 'group' | 'signature'
  /** This program's group, or the newest signature that it speaks. */
  readonly expected: string
  /** The log's group, or the newest signature that is noted there. */
  readonly found: string
  constructor(
    field: 'group' | 'signature',
    expected: string,
    found: string,
    { older = [], made = found, another = 'open another log', ...options }: LogMismatchOptions = {},
  ) {
    const why =
      field === 'group'
        ? `this log is of the group ${quoted(found)}, not ${quoted(expected)}: give that group, or ${another}`
        : `${versionOf(found, made)}, and this program speaks ${[expected, ...older].map(quoted).join(', ')}: start a version of it whose machine has ${quoted(found)} as its signature or among its older ones, or ${another}`
    super(why, options)
    this.field = field
    this.expected = expected
    this.found = found
  }
}

function versionOf(found: string, made: string): string {
  return made === found
    ? `this log is of a machine with the signature ${quoted(found)}`
    : `this log was made for the signature ${quoted(made)}, its group went over to ${quoted(found)}`
}

function quoted(text: string): string {
  return JSON.stringify(text)
}

/** There is a file or a server, but no log that this version can use. Nothing was written. */
export class LogUnusable extends LogError {
  static override readonly code: string = 'LOG_UNUSABLE'
  override readonly name: string = 'LogUnusable'
}

/**
 * The log's file contradicts itself. Another try does not help, and nothing more is written to it: restore a
 * backup.
 */
export class LogDamaged extends LogUnusable {
  static override readonly code = 'LOG_DAMAGED'
  override readonly name = 'LogDamaged'
}

/** There is no such log, and this program must not make one. */
export class LogMissing extends AnchorageError {
  static override readonly code = 'LOG_MISSING'
  override readonly name = 'LogMissing'
  /** The file, or the stream. */
  readonly place: string
  constructor(place: string, advice = 'look at its name, or open it without `create: false`') {
    super(`there is no log at ${place}: ${advice}`)
    this.place = place
  }
}

/** The log's servers did not answer in time. The request was not carried out, or may be repeated. */
export class LogUnavailable extends LogError {
  static override readonly code = 'LOG_UNAVAILABLE'
  override readonly name = 'LogUnavailable'
  /** The reason, as far as it is known. */
  readonly why: string | undefined
  constructor(why?: string, options?: LogErrorOptions) {
    super(`the log's servers do not answer${why ? ` (${why})` : ''}; try again when they do`, options)
    this.why = why
  }
}

/**
 * A warning: the servers are older than the first version that keeps a replicated log whole. The log is used
 * all the same, but such servers may lose entries that they have acknowledged.
 */
export class ServersOutdated extends LogError {
  static override readonly code = 'SERVERS_OUTDATED'
  override readonly name = 'ServersOutdated'
  /** The version of the server, such as `2.9.10`. */
  readonly version: string
  /** The oldest version that keeps what it has acknowledged. */
  readonly supported: string
  constructor(version: string, supported: string, copies: number, options?: LogErrorOptions) {
    super(
      `the server is nats-server ${version}, and keeps ${copies} copies of the log: before ${supported} they may come apart when a server stalls, and acknowledged entries be lost; upgrade the servers, or keep one copy`,
      options,
    )
    this.version = version
    this.supported = supported
  }
}

/**
 * The log's servers refused this program or an operation, or this program does not trust them. Nothing was
 * written.
 */
export class LogRefused extends LogError {
  static override readonly code = 'LOG_REFUSED'
  override readonly name = 'LogRefused'
}
