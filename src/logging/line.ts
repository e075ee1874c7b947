/** How much a line matters, from the least. */
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** The parts of a replica that have a logger each: `anchorage:replica`, `anchorage:log` and so on. */
export const LOG_COMPONENTS = ['replica', 'log', 'leader', 'sync', 'snapshot', 'checkpoint'] as const
export type LogComponent = (typeof LOG_COMPONENTS)[number]

/** An error in a line. */
export interface LoggedError {
  /** The name of its class, such as `Busy`. */
  readonly type: string
  /** Such as `BUSY`; `OTHER` where it has none. */
  readonly code: string
  readonly message: string
}

/** What a line says for programs. Names of times end in `Ms`; `bytes` are bytes. */
export interface LogFields {
  /** What happened, in a word. */
  readonly event: string
  /** The same at the joiner, the leader and the providers: 16 hexadecimal digits. */
  readonly catchUp?: string | undefined
  /** The index of an anchor. */
  readonly anchor?: number | undefined
  /** The PeerId of another replica. */
  readonly peer?: string | undefined
  readonly err?: LoggedError | undefined
  readonly [name: string]: string | number | boolean | LoggedError | undefined
}

/** One line of a log. */
export interface LogLine {
  readonly level: LogLevel
  readonly component: LogComponent
  /** In the words of this package alone: what others wrote is in the fields. */
  readonly text: string
  readonly fields: LogFields
  /** Lines of one key say the same again, and are counted: see `RepeatedLines`. Default: each is told. */
  readonly key?: string
  /** Amounts of this line that are added up where lines are counted: what is told is the sum so far. */
  readonly totals?: Readonly<Record<string, number>>
  /** How the keys of lines begin that are over with this one: what was counted of them is told before it. */
  readonly closes?: readonly string[]
}

/** Where lines go. */
export interface LogSink {
  /** False: nothing will ever be shown, so nothing needs to be put into words. */
  readonly enabled: boolean
  shows(line: Pick<LogLine, 'component' | 'level'>): boolean
  write(line: LogLine): void
}
