import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { LogPlace } from '../../src/log/log-at.ts'
import type { NatsServers, Postgres, PostgresInstance } from '../../src/testing/index.ts'
import { startNatsServers, startPostgres } from '../../src/testing/index.ts'
import type { Fault } from './fault.ts'
import type { LogKind } from './options.ts'
import type { Timeline } from './timeline.ts'

/** Where the log is, and what can happen to it there. */
export interface Place extends AsyncDisposable {
  readonly servers: number
  /** Undefined: a SQLite file of the cluster's own. */
  readonly log: LogPlace | undefined
  /** Does a fault of the log. Resolves when it is over. `path` is the SQLite file, if there is one. */
  perform(fault: Fault, path: string): Promise<void>
  /** Have everything run again. */
  heal(): Promise<void>
}

/** Start what the log needs. */
export async function placeFor(log: LogKind, timeline: Timeline): Promise<Place> {
  switch (log) {
    case 'sqlite':
      return new SqlitePlace(timeline)
    case 'nats':
      return await NatsPlace.start(timeline)
    case 'postgres':
      return await PostgresPlace.start(timeline)
    default:
      return log satisfies never
  }
}

/** How long another program may keep the lock: replicas wait for it for five seconds. */
const LOCK_MS_MAX = 3_000

/** A file, whose lock others can take. */
export class SqlitePlace implements Place {
  readonly servers = 0
  readonly log = undefined
  readonly #timeline: Timeline

  constructor(timeline: Timeline) {
    this.#timeline = timeline
  }

  async perform({ forMs }: Fault, path: string): Promise<void> {
    using db = new DatabaseSync(path, { timeout: 0 })
    try {
      db.exec('BEGIN IMMEDIATE')
    } catch {
      return this.#timeline.note('log', 'its lock was in use')
    }
    this.#timeline.note('log', 'another program holds its lock')
    await delay(Math.min(forMs, LOCK_MS_MAX))
    db.exec('ROLLBACK')
    this.#timeline.note('log', 'its lock is free')
  }

  async heal(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {}
}

const SERVERS = 3

/** Three servers, of which each can be killed or paused, or all at once. */
export class NatsPlace implements Place {
  readonly servers = SERVERS
  readonly log: LogPlace
  readonly #nats: NatsServers
  readonly #timeline: Timeline

  static async start(timeline: Timeline): Promise<NatsPlace> {
    return new NatsPlace(await startNatsServers({ servers: SERVERS }), timeline)
  }

  private constructor(nats: NatsServers, timeline: Timeline) {
    this.#nats = nats
    this.#timeline = timeline
    this.log = { servers: nats.urls, replicas: SERVERS }
  }

  async perform({ kind, target, forMs }: Fault): Promise<void> {
    const server = this.#nats.servers[target % SERVERS]!
    const all = kind === 'kill-all-servers'
    const who = all ? 'servers' : server.name
    if (kind === 'pause-server') {
      server.pause()
      this.#timeline.note(who, 'paused')
      await delay(forMs)
      server.resume()
      return this.#timeline.note(who, 'resumed')
    }
    await (all ? this.#nats : server).kill()
    this.#timeline.note(who, 'killed')
    await delay(forMs)
    await this.#nats.start()
    this.#timeline.note(who, 'ready again')
  }

  async heal(): Promise<void> {
    for (const server of this.#nats.servers) server.resume()
    await this.#nats.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nats.stop()
  }
}

/**
 * A primary and its synchronous standby, of which each can be killed or paused, and the standby promoted. What was
 * acknowledged is on the disks of both, so that no promotion loses it.
 */
export class PostgresPlace implements Place {
  readonly servers = 2
  readonly log: LogPlace
  readonly #postgres: Postgres
  readonly #timeline: Timeline

  static async start(timeline: Timeline): Promise<PostgresPlace> {
    return new PostgresPlace(await startPostgres({ standby: 'synchronous' }), timeline)
  }

  private constructor(postgres: Postgres, timeline: Timeline) {
    this.#postgres = postgres
    this.#timeline = timeline
    this.log = postgres.url
  }

  async perform({ kind, target, forMs }: Fault): Promise<void> {
    const postgres = this.#postgres
    const server = postgres.servers[target % this.servers]!
    const name = (one: PostgresInstance) => `${one === postgres.primary ? 'primary' : 'standby'} ${one.name}`
    if (kind === 'pause-server') {
      server.pause()
      this.#timeline.note('log', `${name(server)} paused`)
      await delay(forMs)
      server.resume()
      return this.#timeline.note('log', `${name(server)} resumed`)
    }
    const killed =
      kind === 'kill-all-servers' ? postgres.servers : [kind === 'kill-server' ? server : postgres.primary]
    await Promise.all(killed.map((one) => one.kill()))
    this.#timeline.note('log', `${killed.map(name).join(' and ')} killed`)
    if (kind === 'promote-server') {
      await postgres.promote()
      this.#timeline.note('log', `${name(postgres.primary)} was promoted`)
    }
    await delay(forMs)
    await postgres.start()
    this.#timeline.note('log', 'both servers run')
  }

  async heal(): Promise<void> {
    this.#postgres.resume()
    await this.#postgres.start()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#postgres.stop()
  }
}
