import { EpochChanged, LogUnavailable } from '../errors.ts'
import type { SignalOptions } from '../log.ts'
import { Bells, type Change } from './bells.ts'
import type { Connection, Statement, Value } from './connection.ts'
import { isMissing } from './failures.ts'
import type { Link } from './link.ts'
import type { LogRow, Statements } from './statements.ts'

/** What writers say on the log's channel. */
const WORDS: Readonly<Record<Change, string>> = { entries: 'e', board: 'b' }

export interface TableInit {
  readonly link: Link
  readonly statements: Statements
  /** The log's name in the schema. */
  readonly name: string
  readonly channel: string
  readonly log: number
  readonly epoch: string
}

/** The rows of one log. */
export class Table {
  readonly link: Link
  readonly statements: Statements
  readonly log: number
  readonly epoch: string
  readonly bells = new Bells()
  readonly #name: string
  readonly #channel: string
  /** What the rows of `logs` have for the epoch. */
  readonly #epochBytes: Buffer
  /** What changed and was not told yet. */
  readonly #untold = new Set<Change>()
  #isTelling = false

  constructor({ link, statements, name, channel, log, epoch }: TableInit) {
    this.link = link
    this.statements = statements
    this.log = log
    this.epoch = epoch
    this.#name = name
    this.#channel = channel
    this.#epochBytes = Buffer.from(epoch)
    link.onTold((word) => {
      for (const change of ['entries', 'board'] as const) if (word === WORDS[change]) this.bells.ring(change)
    })
    // What was said meanwhile was not heard.
    link.onChange(() => this.ring())
  }

  get place(): string {
    return this.link.place
  }

  /** Everybody who waits should look. */
  ring(): void {
    this.bells.ring('entries')
    this.bells.ring('board')
  }

  /** The rows of a statement that reads. Parameters are the log, its epoch, and `values`. */
  async ask<Row>(statement: Statement, values: readonly Value[], options?: SignalOptions): Promise<Row[]> {
    return await this.link.read((connection) => this.query<Row>(connection, statement, values), options)
  }

  /** The rows of a statement that writes and is safe to repeat. Parameters are the log, its epoch, and `values`. */
  async change<Row>(statement: Statement, values: readonly Value[], options?: SignalOptions): Promise<Row[]> {
    return await this.link.write((connection) => this.query<Row>(connection, statement, values), options)
  }

  async query<Row>(connection: Connection, statement: Statement, values: readonly Value[]): Promise<Row[]> {
    return await this.#existing(connection.query<Row>(statement, [this.log, this.#epochBytes, ...values]))
  }

  /** The rows of a page: see `Statements.page`. */
  async copyPage(
    cursor: number,
    entries: number,
    bytesMax: number | undefined,
    options: SignalOptions,
  ): Promise<readonly Buffer[]> {
    const text = this.statements.page(this.log, cursor, entries, bytesMax)
    return await this.link.read((connection) => this.#existing(connection.copy(text)), options)
  }

  /** The log's row. Rejects with `EpochChanged` if the log is no longer there, or is another one. */
  async row(options?: SignalOptions): Promise<LogRow> {
    const name = Buffer.from(this.#name)
    const [row] = await this.link.read(
      (connection) => this.#existing(connection.query<LogRow>(this.statements.find, [name])),
      options,
    )
    if (row?.log === this.log && row.epoch.equals(this.#epochBytes)) return row
    throw new EpochChanged(this.epoch, row?.epoch.toString(), { place: this.place })
  }

  /** Rejects with the reason why a statement did not find the log. */
  async notFound(options?: SignalOptions): Promise<never> {
    await this.row(options)
    throw new LogUnavailable('the log was put back in this moment', { place: this.place })
  }

  /**
   * Tell other handles of a change, and this one's readers at once. The notification is a transaction of its own:
   * only one transaction of a server at a time commits with one, and an append's commit waits for disks. Changes
   * that come while one is under way share the next.
   */
  tell(change: Change): void {
    this.bells.ring(change)
    this.#untold.add(change)
    if (!this.#isTelling) void this.#tellAll()
  }

  async #tellAll(): Promise<void> {
    this.#isTelling = true
    while (this.#untold.size > 0) {
      const notify = [...this.#untold].map((change) => `NOTIFY ${this.#channel}, '${WORDS[change]}'`)
      this.#untold.clear()
      await this.link.tell(notify.join(';'))
    }
    this.#isTelling = false
  }

  async #existing<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      if (!isMissing(error)) throw error
      throw new EpochChanged(this.epoch, undefined, { place: this.place, cause: error })
    }
  }
}
