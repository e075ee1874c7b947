import { once } from 'node:events'
import { type Announcement, decodeAnnouncement } from '../../src/group/announcement.ts'
import type { Cursor, Log, LogBackend, LogBatch, LogInit, SignalOptions } from '../../src/log/log.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import type { ReplicaEvents } from '../../src/replica/events.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { Journal } from './journal.ts'

/** Short enough for a quick suite, long enough for two busy cores. */
export const TIMES = { leaseMs: 1500, ttlMs: 5000, requestTimeoutMs: 3000, fetchTimeoutMs: 1000 }

export interface Started {
  readonly replica: Replica<number>
  readonly journal: Journal
}

/** Real replicas in one process: libp2p on loopback, one log in memory. */
export class Cluster implements AsyncDisposable {
  readonly log: MemoryLog
  readonly #replicas: Replica<number>[] = []
  readonly #isMute: boolean

  /** @param init with `isMute: false`, what no test listens for goes to standard error */
  constructor({ isMute = true, log = memoryLog() }: { isMute?: boolean; log?: MemoryLog } = {}) {
    this.log = log
    this.#isMute = isMute
  }

  async start(init: Partial<ReplicaInit<number>> = {}, journal = new Journal()): Promise<Started> {
    const replica = await createReplica<number>({
      group: 'journals',
      machine: journal,
      log: this.log,
      volatile: true,
      chunkBytes: 50,
      ...(this.#isMute && { logger: false }),
      ...TIMES,
      ...init,
    })
    this.#replicas.push(replica)
    return { replica, journal }
  }

  /** One that leads, and others that never will. */
  async startLed(
    followers: number,
    init: Partial<ReplicaInit<number>> = {},
  ): Promise<[Started, ...Started[]]> {
    const leader = await this.start(init)
    await leads(leader.replica)
    const others: Started[] = []
    while (others.length < followers) others.push(await this.start({ lead: false, ...init }))
    await Promise.all(others.map(({ replica }) => replica.inSync()))
    return [leader, ...others]
  }

  /** What a replica announces, from now on. */
  async *announcements(id: string): AsyncGenerator<Announcement> {
    const handle = await this.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
    let last: Uint8Array | undefined
    for await (const notices of handle.notices.watch()) {
      const data = notices.find(({ member }) => member === id)?.data
      if (data === undefined || data === last) continue
      last = data
      yield decodeAnnouncement(data)!
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => replica.stop()))
  }
}

/** Resolves when `replica` leads. */
export async function leads<R>(replica: Replica<R>): Promise<void> {
  while (replica.leader !== replica.id) await next(replica, 'leader')
}

/** The detail of the next event of a kind. */
export async function next<E extends keyof ReplicaEvents & string, R>(
  replica: Replica<R>,
  type: E,
  timeoutMs = 20_000,
): Promise<ReplicaEvents[E]['detail']> {
  const [event] = (await once(replica, type, { signal: AbortSignal.timeout(timeoutMs) })) as [
    ReplicaEvents[E],
  ]
  return event.detail
}

/** Resolves when `done` holds, looking at every event of a kind. */
export async function when(
  replica: Replica<number>,
  type: keyof ReplicaEvents & string,
  done: () => boolean,
): Promise<void> {
  while (!done()) await next(replica, type)
}

/** `part`, but for what `changes` does instead. */
export function altered<T extends object>(part: T, changes: Partial<T>): T {
  return new Proxy(part, {
    get(target, key) {
      const value: unknown = Reflect.get(key in changes ? changes : target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** The group's log as one replica finds it. */
export function alteredLog(backend: LogBackend, changes: (log: Log) => Partial<Log>): LogBackend {
  return {
    async open(init) {
      const log = await backend.open(init)
      return altered(log, changes(log))
    },
  }
}

/** The group's log behind a disk that one replica cannot always read. */
export class FlakyLog implements LogBackend {
  readable: 'all' | 'bounds' | 'nothing' = 'all'
  failure = new Error('the disk cannot be read')
  readonly #backend: LogBackend

  constructor(backend: LogBackend) {
    this.#backend = backend
  }

  async open(init: LogInit): Promise<Log> {
    const log = await this.#backend.open(init)
    return altered(log, {
      follow: (cursor: Cursor, options?: SignalOptions) => this.#read(log.follow(cursor, options)),
      read: (cursor: Cursor, options?: SignalOptions) => this.#read(log.read(cursor, options)),
      bounds: async (options?: SignalOptions) => {
        if (this.readable === 'nothing') throw this.failure
        return await log.bounds(options)
      },
    })
  }

  async *#read(batches: AsyncIterable<LogBatch>): AsyncGenerator<LogBatch> {
    this.#assertReadable()
    for await (const batch of batches) {
      this.#assertReadable()
      yield batch
    }
  }

  #assertReadable(): void {
    if (this.readable !== 'all') throw this.failure
  }
}
