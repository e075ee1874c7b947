import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { LogPlace } from '../../src/log/log-at.ts'
import type { NatsServers } from '../../src/testing/index.ts'
import { startNatsServers } from '../../src/testing/index.ts'
import type { Fault } from './fault.ts'
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
