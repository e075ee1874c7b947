import { raceSignal } from 'race-signal'
import { LogUnavailable } from '../errors.ts'
import { checkPresence, PRESENCE_TTL_MS_MAX } from '../limits.ts'
import type { SignalOptions } from '../log.ts'
import { any, Pause } from '../pause.ts'
import type { Presence, PresenceStore } from '../presence.ts'
import { untilTold } from './bells.ts'
import type { Statement, Value } from './connection.ts'
import type { PresenceRow } from './statements.ts'
import type { Table } from './table.ts'

export interface PresenceStoreInit {
  readonly table: Table
  readonly pollMs: number
  readonly maxBytes: number
  /** Aborts when the log closes. */
  readonly closing: AbortSignal
}

/**
 * The presence store in a table, with one row for each member. A presence's age is judged by the server's
 * clock.
 */
export class PostgresPresenceStore implements PresenceStore {
  readonly #init: PresenceStoreInit

  constructor(init: PresenceStoreInit) {
    this.#init = init
  }

  async announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void> {
    const { table, maxBytes } = this.#init
    checkPresence(member, data, ttlMs, maxBytes, { place: table.place })
    await this.#change(table.statements.announce, [Buffer.from(member), data, ttlMs], options)
    // Those who ended without a word.
    await table.change(table.statements.forget, [PRESENCE_TTL_MS_MAX * 1_000], options)
  }

  async withdraw(member: string, options?: SignalOptions): Promise<void> {
    await this.#change(this.#init.table.statements.withdraw, [Buffer.from(member)], options)
  }

  async read({ signal }: SignalOptions = {}): Promise<Presence[]> {
    const { table, closing } = this.#init
    any(signal, closing).throwIfAborted()
    const rows = await table.ask<PresenceRow | NoPresence>(table.statements.presences, [], { signal })
    if (rows.length === 0) return await table.notFound({ signal })
    return rows.flatMap((row) => (row.member === null ? [] : [presenceOf(row)]))
  }

  async *watch({ signal }: SignalOptions = {}): AsyncGenerator<Presence[]> {
    if (signal?.aborted) return
    const { table, pollMs, closing } = this.#init
    closing.throwIfAborted()
    const ends = any(signal, closing)
    using bell = table.bells.hang('board')
    const pause = new Pause()
    let seen: string | undefined
    while (!ends.aborted) {
      try {
        const presences = await raceSignal(this.read({ signal: ends }), ends)
        pause.reset()
        const board = versionsOf(presences)
        if (board !== seen) yield presences
        seen = board
        await untilTold(bell, pollMs, table.link.clock, ends)
      } catch (error) {
        if (ends.aborted) return
        if (!(error instanceof LogUnavailable)) throw error
        await pause.wait(ends)
        await table.link.whenConnected(ends).catch(() => {})
      }
    }
  }

  /** Run a statement that returns a row if the log is still the same. */
  async #change(statement: Statement, values: readonly Value[], options?: SignalOptions): Promise<void> {
    const { table, closing } = this.#init
    any(options?.signal, closing).throwIfAborted()
    const rows = await table.change(statement, values, options)
    if (rows.length === 0) await table.notFound(options)
    table.tell('board')
  }
}

interface NoPresence {
  readonly member: null
}

function presenceOf({ member, data, ttl_ms, age_ms, version }: PresenceRow): Presence {
  return { member: member.toString(), data, ttlMs: ttl_ms, ageMs: age_ms, version }
}

/** What changes with each announcement and withdrawal. */
function versionsOf(presences: readonly Presence[]): string {
  return presences
    .map(({ member, version }) => JSON.stringify([member, version]))
    .sort()
    .join('\n')
}
