import type { StreamConfig } from '@nats-io/jetstream'
import { type JetstreamLogOptions, jetstreamLog } from '../../src/log/jetstream.ts'
import type { Log, LogInit } from '../../src/log/log.ts'
import type { NatsServers } from '../../src/processes/nats-servers.ts'
import { init } from './entries.ts'
import { Others } from './foreign-place.ts'
import { clear } from './nats.ts'

export const CONTROL = 'orders.anchorage'

/** A stream ORDERS of others, and the handles that a test opens on it. */
export class ForeignScene implements AsyncDisposable {
  readonly nats: NatsServers
  readonly others: Others
  readonly #opened: Log[] = []

  /** Everything of an earlier test is removed. */
  static async on(nats: NatsServers, config: Partial<StreamConfig> = {}): Promise<ForeignScene> {
    await clear(nats)
    const scene = new ForeignScene(nats, await Others.at(nats))
    await scene.make(config)
    return scene
  }

  private constructor(nats: NatsServers, others: Others) {
    this.nats = nats
    this.others = others
  }

  async make(config: Partial<StreamConfig> = {}): Promise<void> {
    await this.others.jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'], ...config })
  }

  /** Delete the stream and make it again, as others do. */
  async remake(config: Partial<StreamConfig> = {}): Promise<void> {
    await this.others.jsm.streams.delete('ORDERS')
    await this.make(config)
  }

  async open(options: Partial<JetstreamLogOptions> = {}, overrides: Partial<LogInit> = {}): Promise<Log> {
    const servers = this.nats.urls
    const backend = jetstreamLog({ servers, stream: 'ORDERS', control: CONTROL, pollMs: 20, ...options })
    const log = await backend.open(init(overrides))
    this.#opened.push(log)
    return log
  }

  /** Publish one message for each text, on `orders.new`. */
  async publish(...texts: string[]): Promise<void> {
    for (const text of texts) await this.others.publish({ subject: 'orders.new' }, text)
  }

  /**
   * Change the group's record as if the stream had been made so much earlier than its servers say now. Returns the
   * epoch that it has then.
   */
  async misdate(ms: number): Promise<string> {
    const [bucket] = (await this.buckets()).filter((name) => name.endsWith('-binding'))
    const subject = `$KV.${bucket!.slice('KV_'.length)}.binding`
    const { data } = (await this.others.jsm.streams.getMessage(bucket!, { last_by_subj: subject }))!
    const record = JSON.parse(Buffer.from(data).toString())
    const createdNs = String(BigInt(record.createdNs) - BigInt(ms * 1e6))
    const epoch = `misdated-${ms}`
    await this.others.publish({ subject }, JSON.stringify({ ...record, createdNs, epoch }))
    return epoch
  }

  /** The names of the buckets that there are. */
  async buckets(): Promise<string[]> {
    const names: string[] = []
    for await (const { config } of this.others.jsm.streams.list()) names.push(config.name)
    return names.filter((name) => name.startsWith('KV_')).sort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#opened.map((log) => log.close()))
    await this.others[Symbol.asyncDispose]()
  }
}

/** A command on `orders.new`. */
export function order(text: string) {
  return { kind: 'command', payload: Buffer.from(text), message: { subject: 'orders.new' } } as const
}
