import type { Context } from '../../src/cli/context.ts'
import { Output } from '../../src/cli/output.ts'
import { type Announcement, encodeAnnouncement } from '../../src/group/announcement.ts'
import { GROUP_FORMAT } from '../../src/group/formats.ts'
import type { Log } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { Cluster } from '../replica/cluster.ts'

/** What a command printed, in this process. */
export class Printed extends Output {
  readonly lines: string[] = []
  readonly notes: string[] = []
  #told = Promise.withResolvers<void>()

  constructor({ json = false }: { readonly json?: boolean } = {}) {
    super({ json, color: false })
  }

  override line(text = ''): void {
    this.lines.push(text)
    this.#tell()
  }

  /** With JSON: what another process would read. */
  get objects(): unknown[] {
    return this.lines.map((line) => JSON.parse(line))
  }

  override aside(text: string): void {
    this.notes.push(text)
    this.#tell()
  }

  /** Resolves when what was printed is so. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await this.#told.promise
  }

  #tell(): void {
    this.#told.resolve()
    this.#told = Promise.withResolvers()
  }
}

/** A group of real replicas in this process, and an operator who runs commands beside it. */
export class Desk implements AsyncDisposable {
  readonly cluster: Cluster
  readonly interrupted = new AbortController()
  #log: Log | undefined

  constructor(log = memoryLog()) {
    this.cluster = new Cluster({ log })
  }

  context(output: Output): Context {
    const { log } = this.cluster
    return {
      log: {
        name: 'memory',
        flags: undefined,
        isFile: false,
        backendFor: () => log,
        nameFor: () => 'memory',
        remove: async () => {},
      },
      group: 'journals',
      output,
      signal: this.interrupted.signal,
    }
  }

  /** The group's log, to look at. */
  async log(): Promise<Log> {
    this.#log ??= await this.cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
    return this.#log
  }

  /** A member that announces what it is told to, and does nothing. */
  async announce(id: string, changes: Partial<Announcement> = {}, ttlMs = 60_000): Promise<void> {
    const log = await this.log()
    const announcement: Announcement = {
      epoch: log.epoch,
      addresses: ['/ip4/127.0.0.1/tcp/1'],
      state: 'in-sync',
      applied: 1,
      leads: 0,
      offers: [],
      needs: 0,
      checkpoint: 0,
      format: GROUP_FORMAT,
      ...changes,
    }
    await log.notices.announce(id, encodeAnnouncement(announcement), ttlMs)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster[Symbol.asyncDispose]()
    await this.#log?.close()
  }
}
