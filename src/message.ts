/**
 * What a command has besides its bytes, where the log is a stream that others write too: such a command is a message
 * of theirs, or one that is published like theirs.
 */
export interface Message {
  /** The subject that it was published on. */
  readonly subject: string
  /** By name, as it was written. A header may be there several times, so each has a list. */
  readonly headers: Readonly<Record<string, readonly string[]>>
}

/** A message to publish. */
export interface NewMessage {
  /** The subject to publish it on. */
  readonly subject: string
  /** By name; a list for a header that is to be there several times. Default: none. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
}
