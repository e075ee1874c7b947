import { AnchorageError } from '../errors.ts'

/** How a process ended: with a code, or by a signal. */
export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** The state of a process when something went wrong with it. */
export interface ProcessTrace {
  readonly name: string
  /** What the process is known to be doing. */
  readonly state: string
  /** The last lines it wrote. */
  readonly lines: readonly string[]
}

/** A condition did not come true in time. The message holds the last lines of each process's output. */
export class ConditionTimeout extends AnchorageError {
  static override readonly code = 'CONDITION_TIMEOUT'
  override readonly name = 'ConditionTimeout'
  readonly what: string
  readonly timeoutMs: number
  readonly processes: readonly ProcessTrace[]
  constructor(what: string, timeoutMs: number, processes: readonly ProcessTrace[]) {
    super(`waited ${timeoutMs} ms in vain until ${what}${describe(processes)}`)
    this.what = what
    this.timeoutMs = timeoutMs
    this.processes = processes
  }
}

/** The process ended although it was not asked to, or before it did what was expected of it. */
export class ProcessEnded extends AnchorageError {
  static override readonly code = 'PROCESS_ENDED'
  override readonly name = 'ProcessEnded'
  readonly exit: Exit
  constructor(exit: Exit, trace: ProcessTrace) {
    const how = exit.signal === null ? `with code ${exit.code}` : `by ${exit.signal}`
    super(`${trace.name} ended ${how}${describe([trace])}`)
    this.exit = exit
  }
}

/** The process did not exit by itself after `stop()`, and was killed. */
export class ProcessLingered extends AnchorageError {
  static override readonly code = 'PROCESS_LINGERED'
  override readonly name = 'ProcessLingered'
  readonly timeoutMs: number
  /** False when even `Replica.stop` did not resolve. */
  readonly replicaStopped: boolean
  constructor(timeoutMs: number, replicaStopped: boolean, trace: ProcessTrace) {
    const why = replicaStopped
      ? 'the replica was stopped, so look for a timer, socket or thread that was left open'
      : 'the replica did not stop, so look for what it waits for'
    super(`${trace.name} was killed, ${timeoutMs} ms after stop(): ${why}${describe([trace])}`)
    this.timeoutMs = timeoutMs
    this.replicaStopped = replicaStopped
  }
}

/** The program of the process has no such method. */
export class NoSuchMethod extends AnchorageError {
  static override readonly code = 'NO_SUCH_METHOD'
  override readonly name = 'NoSuchMethod'
  readonly method: string
  constructor(method: string, known: readonly string[]) {
    super(`the program has no method ${method}; give it to serveReplica: it has ${known.join(', ')}`)
    this.method = method
  }
}

/** The module was run by hand. */
export class NotStartedByCluster extends AnchorageError {
  static override readonly code = 'NOT_STARTED_BY_CLUSTER'
  override readonly name = 'NotStartedByCluster'
  constructor() {
    super('this program is a process of a test cluster: pass its URL to startCluster({ program })')
  }
}

/** The program `nats-server` is not on this machine. */
export class NatsServerMissing extends AnchorageError {
  static override readonly code = 'NATS_SERVER_MISSING'
  override readonly name = 'NatsServerMissing'
  constructor() {
    super(
      'nats-server is not installed: `go install github.com/nats-io/nats-server/v2@v2.12.15`, or get it from https://github.com/nats-io/nats-server/releases and put it into the PATH; `apt-get install nats-server` will do for one server, but not for three',
    )
  }
}

/** A server did not come up. The message holds the last lines of its log. */
abstract class ServerFailed extends AnchorageError {
  readonly server: string
  /** Another program has the port. */
  readonly portTaken: boolean
  constructor(server: string, why: string, lines: readonly string[]) {
    super(`${server}: ${why}${describe([{ name: server, state: 'its log', lines }])}`)
    this.server = server
    this.portTaken = lines.some((line) => /address already in use/i.test(line))
  }
}

/** A NATS server did not come up. The message holds the last lines of its log. */
export class NatsServersFailed extends ServerFailed {
  static override readonly code = 'NATS_SERVERS_FAILED'
  override readonly name = 'NatsServersFailed'
}

/** PostgreSQL is not on this machine. */
export class PostgresMissing extends AnchorageError {
  static override readonly code = 'POSTGRES_MISSING'
  override readonly name = 'PostgresMissing'
  constructor() {
    super(
      'PostgreSQL is not installed: `apt-get install postgresql`, or name the folder of its programs (initdb, postgres) with the variable POSTGRES_BIN',
    )
  }
}

/** PostgreSQL did not come up. The message holds the last lines of its log. */
export class PostgresFailed extends ServerFailed {
  static override readonly code = 'POSTGRES_FAILED'
  override readonly name = 'PostgresFailed'
}

function describe(processes: readonly ProcessTrace[]): string {
  return processes
    .map(({ name, state, lines }) => `\n${[`${name} (${state})`, ...lines].join('\n  | ')}`)
    .join('')
}

/** A module was named for the log, and it gives no backend. */
export class LogModuleUnusable extends AnchorageError {
  static override readonly code = 'LOG_MODULE_UNUSABLE'
  override readonly name = 'LogModuleUnusable'
}
