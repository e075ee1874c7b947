import { randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { atExit } from './at-exit.ts'
import { PostgresMissing } from './errors.ts'
import { freePorts, startOnFreePorts } from './free-ports.ts'
import { DATABASE, HOST, PostgresInstance, USER, waitingFor } from './postgres-instance.ts'
import { findPostgres, PostgresPrograms, temporaryFolder } from './postgres-programs.ts'

export { findPostgres, type PostgresInstance }

/** Options of `startPostgres`. */
export interface PostgresInit {
  /**
   * A second server, which has a copy of all and can be promoted. With a synchronous one a commit waits until
   * both have it on their disks. Default: none.
   */
  readonly standby?: 'synchronous' | 'asynchronous'
  /** More of each server's `postgresql.conf`, such as `max_connections = 20`. */
  readonly config?: string
}

/**
 * Start PostgreSQL on a free port of this machine's loopback, in a folder of the temporary one. Resolves when
 * it takes connections. It syncs to the disk as in production. Its one user is a superuser with a random
 * password, which is in `url`. PostgreSQL does not run as root: for root it runs as the user `postgres`, or as
 * `nobody`. Rejects with `PostgresMissing` if it is not installed.
 *
 * @example
 * ```ts
 * await using postgres = await startPostgres({ standby: 'synchronous' })
 * await using cluster = await startCluster({ log: postgres.url })
 * await postgres.primary.kill()
 * await postgres.promote()
 * ```
 */
export async function startPostgres(init: PostgresInit = {}): Promise<Postgres> {
  const folder = findPostgres()
  if (folder === undefined) throw new PostgresMissing()
  return await startOnFreePorts(async () => {
    const dir = await mkdtemp(join(temporaryFolder(), 'anchorage-postgres-'))
    const ports = await freePorts(HOST, init.standby === undefined ? 1 : 2)
    return new Postgres(new PostgresPrograms(folder, dir), ports, init)
  }, false)
}

/** PostgreSQL, with a standby or without. Use `startPostgres`, with `await using`: nothing outlives it. */
export class Postgres implements AsyncDisposable {
  /** The temporary folder, removed by `stop()`. */
  readonly dir: string
  /** One server, or two with a standby, in the order in which they were made. */
  readonly servers: readonly PostgresInstance[]
  readonly #password = randomBytes(16).toString('hex')
  readonly #isSynchronous: boolean
  readonly #removalCalledOff: () => void
  #primary: PostgresInstance
  /** A server that has no copy of the primary: it is new, or another was promoted in its place. */
  #stale: PostgresInstance | undefined

  /** Use `startPostgres`. */
  constructor(programs: PostgresPrograms, ports: readonly number[], { standby, config = '' }: PostgresInit) {
    this.dir = programs.dir
    this.#isSynchronous = standby === 'synchronous'
    const password = this.#password
    this.servers = ports.map(
      (port, n) => new PostgresInstance(programs, { name: `postgres-${n + 1}`, port, password, config }),
    )
    this.#primary = this.servers[0]!
    this.#stale = this.servers[1]
    this.#removalCalledOff = atExit(() => {
      for (const server of this.servers) server.killNow()
      rmSync(this.dir, { recursive: true, force: true })
    })
  }

  /** The server that takes writes. */
  get primary(): PostgresInstance {
    return this.#primary
  }

  /** The server that follows the primary. Undefined if there is one server alone. */
  get standby(): PostgresInstance | undefined {
    return this.servers.find((server) => server !== this.#primary)
  }

  /** A connection string, for `postgresLog`. It holds the password, and the hosts of all servers. */
  get url(): string {
    return this.urlOf(...this.servers)
  }

  /** A connection string for some of the servers. */
  urlOf(...servers: readonly PostgresInstance[]): string {
    const hosts = servers.map(({ port }) => `${HOST}:${port}`).join(',')
    return `postgres://${USER}:${this.#password}@${hosts}/${DATABASE}`
  }

  /**
   * Start those that do not run. Resolves when each takes connections. A server in whose place another was
   * promoted becomes the standby: it begins anew, with a copy of the primary, and what it alone had is lost.
   */
  async start(): Promise<void> {
    const { primary, standby } = this
    // The first start copies before anything is written, so no commit has to wait for the copy.
    await primary.initialize(this.#isSynchronous && standby !== undefined ? waitingFor(standby) : '')
    await primary.start()
    if (standby === undefined) return
    const isStale = standby === this.#stale
    if (isStale) {
      await standby.kill()
      await standby.copy(primary)
    }
    await standby.start()
    if (isStale && this.#isSynchronous) await primary.waitFor(standby)
    this.#stale = undefined
  }

  /** End all servers with SIGKILL, or as told. Resolves when they have ended; what they stored stays. */
  async kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill(signal)))
  }

  /** Stop all servers where they are (SIGSTOP). Needs Linux. */
  pause(): void {
    for (const server of this.servers) server.pause()
  }

  /** Let all servers that are paused go on (SIGCONT). */
  resume(): void {
    for (const server of this.servers) server.resume()
  }

  /**
   * Make the standby the primary. Resolves when it takes writes. The old primary is not ended: whoever lets it
   * run has two. The new primary's commits wait for nobody until `start()` has made the old one its standby.
   */
  async promote(): Promise<void> {
    const { primary, standby } = this
    if (standby === undefined)
      throw new Error('there is no standby: startPostgres({ standby: … }) starts one')
    await standby.promote()
    this.#primary = standby
    this.#stale = primary
  }

  /** End every server, and remove what they stored. */
  async stop(): Promise<void> {
    await this.kill()
    for (const server of this.servers) server.release()
    await rm(this.dir, { recursive: true, force: true })
    this.#removalCalledOff()
  }

  /** The same as `stop()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }
}
