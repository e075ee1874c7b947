import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { asError } from '../thrown.ts'
import { PostgresFailed } from './errors.ts'
import type { PostgresPrograms } from './postgres-programs.ts'
import type { ServerProcess } from './server-process.ts'

export const HOST = '127.0.0.1'
export const USER = 'postgres'
export const DATABASE = 'postgres'

/** How long a server may take to be ready, in milliseconds. It takes 0.1 s, and longer after a crash. */
const WAIT_MS = 60_000
const POLL_INTERVAL_MS = 20

interface PostgresInstanceInit {
  readonly name: string
  readonly port: number
  readonly password: string
  /** More of `postgresql.conf`. */
  readonly config: string
}

/** One server of PostgreSQL. It keeps its port and its data when it is started again. */
export class PostgresInstance {
  /** `postgres-1` or `postgres-2`. */
  readonly name: string
  /** The port of 127.0.0.1 on which it takes connections. */
  readonly port: number
  /** Its data is here. */
  readonly dataDir: string
  readonly #init: PostgresInstanceInit
  readonly #programs: PostgresPrograms
  readonly #logFile: string
  readonly #process: ServerProcess

  /** Use `startPostgres`. */
  constructor(programs: PostgresPrograms, init: PostgresInstanceInit) {
    this.name = init.name
    this.port = init.port
    this.dataDir = join(programs.dir, init.name)
    this.#init = init
    this.#programs = programs
    this.#logFile = `${this.dataDir}.log`
    this.#process = programs.server(['-D', this.dataDir], this.#logFile)
  }

  /** Whether its process runs, paused or not. */
  get running(): boolean {
    return this.#process.running
  }

  /** Start it, if it does not run. Resolves when it takes connections. Rejects with `PostgresFailed`. */
  async start(): Promise<void> {
    await this.#process.start()
    const began = performance.now()
    while (performance.now() < began + WAIT_MS) {
      if (!this.running) throw await this.#failure('it ended')
      const [pid, , , , , , , status] = this.#pidFile()
      if (pid === String(this.#process.pid) && /^(ready|standby)/.test(status ?? '')) return
      await delay(POLL_INTERVAL_MS)
    }
    throw await this.#failure(`it was not ready within ${WAIT_MS} ms`)
  }

  /**
   * End it. SIGKILL ends all of its processes where they are. SIGTERM is what a service manager means by it: the
   * fast shutdown, which ends all sessions. What it stored stays.
   */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    // PostgreSQL takes SIGINT for that. On SIGTERM it would wait for its clients to leave.
    await this.#process.kill(signal === 'SIGTERM' ? 'SIGINT' : signal)
  }

  /** Stop all of its processes where they are (SIGSTOP), as on a machine that is too busy. Needs Linux. */
  pause(): void {
    this.#process.pause()
  }

  /** Let a paused server go on (SIGCONT). For one that is not paused, nothing happens. */
  resume(): void {
    this.#process.resume()
  }

  /** Resolves with what `psql` prints for a statement: a line for each row, with `|` between columns. */
  async query(sql: string, database = DATABASE): Promise<string> {
    const args = ['-XAtq', '-h', HOST, '-p', `${this.port}`, '-U', USER, '-d', database, '-c', sql]
    return (await this.#run('psql', args)).trimEnd()
  }

  /** @internal Make its data, if it has none. */
  async initialize(settings: string): Promise<void> {
    if (!existsSync(this.dataDir)) {
      const passwordFile = `${this.dataDir}.password`
      this.#programs.write(passwordFile, this.#init.password)
      await this.#run('initdb', [
        ...['-D', this.dataDir, '--username', USER, '--pwfile', passwordFile, '--auth', 'scram-sha-256'],
        ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
      ])
      this.#configure(settings)
    }
  }

  /** @internal Begin anew as a standby of a server that runs, with a copy of its data. */
  async copy(primary: PostgresInstance): Promise<void> {
    this.release()
    await rm(this.dataDir, { recursive: true, force: true })
    const source = `host=${HOST} port=${primary.port} user=${USER}`
    await this.#run('pg_basebackup', ['-D', this.dataDir, '-d', source, '-c', 'fast', '--no-sync'])
    this.#programs.write(join(this.dataDir, 'standby.signal'), '')
    const { password } = this.#init
    this.#configure(`primary_conninfo = '${source} password=${password} application_name=${this.name}'`)
  }

  /** @internal Make a standby a primary. Resolves when it takes writes. */
  async promote(): Promise<void> {
    await this.#run('pg_ctl', ['promote', '-w', '-D', this.dataDir])
  }

  /** @internal Have commits wait for a standby, which runs. */
  async waitFor(standby: PostgresInstance): Promise<void> {
    const setting = waitingFor(standby)
    this.#configure(setting)
    this.#process.signal('SIGHUP')
    // A session has the setting that the server had when the session began.
    const state =
      "SELECT sync_state FROM pg_stat_replication WHERE current_setting('synchronous_standby_names') <> ''"
    const began = performance.now()
    while ((await this.query(state)) !== 'sync') {
      if (performance.now() > began + WAIT_MS) throw await this.#failure(`${standby.name} does not follow`)
      await delay(POLL_INTERVAL_MS)
    }
    // Commits wait once the checkpointer has told them to, which it does before its next checkpoint.
    await this.query('CHECKPOINT')
  }

  /** @internal For a process that exits. */
  killNow(): void {
    this.#process.killNow()
    this.release()
  }

  /** @internal A server that was killed leaves a segment of shared memory of 56 bytes behind. */
  release(): void {
    const id = /^\d+ +(\d+)/.exec(this.#pidFile()[6] ?? '')?.[1]
    if (id === undefined) return
    try {
      execFileSync('ipcrm', ['-m', id], { stdio: 'ignore' })
    } catch {
      // It is gone, or this system has no such program.
    }
  }

  #pidFile(): string[] {
    try {
      const lines = readFileSync(join(this.dataDir, 'postmaster.pid'), 'utf8').split('\n')
      return lines.map((line) => line.trim())
    } catch {
      // It is not there yet, or not any more.
      return []
    }
  }

  #configure(settings: string): void {
    const { port, config } = this.#init
    const lines = [
      `listen_addresses = '${HOST}'`,
      `port = ${port}`,
      // A path of a socket has at most 107 bytes, and a temporary folder may be deep.
      "unix_socket_directories = ''",
      'shared_buffers = 32MB',
      // In the data directory, so that it goes with it.
      'dynamic_shared_memory_type = mmap',
      // A standby that was away finds what it needs.
      'wal_keep_size = 256MB',
      'wal_retrieve_retry_interval = 100ms',
      settings,
      config,
    ]
    this.#programs.write(join(this.dataDir, 'postgresql.conf'), `${lines.join('\n')}\n`)
  }

  async #run(program: string, args: readonly string[]): Promise<string> {
    try {
      return await this.#programs.run(program, args, { PGPASSWORD: this.#init.password })
    } catch (error) {
      const { stderr } = error as { readonly stderr?: string }
      throw new PostgresFailed(this.name, `${program} failed`, lastLines(stderr || asError(error).message))
    }
  }

  async #failure(why: string): Promise<PostgresFailed> {
    const log = await readFile(this.#logFile, 'utf8').catch(() => '')
    return new PostgresFailed(this.name, why, lastLines(log))
  }
}

/** The setting with which commits wait for a standby. */
export function waitingFor({ name }: PostgresInstance): string {
  return `synchronous_standby_names = '"${name}"'`
}

function lastLines(text: string): string[] {
  return text.trim().split('\n').slice(-10)
}
