import type { Statement } from './connection.ts'

/** The server's clock in milliseconds since 1970. */
const NOW_MS = `floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint`
/** The same in microseconds, for versions of presences. */
const NOW_US = `floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint`
/** What follows `bigint` columns in binary rows: see `page.ts`. */
export const HEAD = -1
export const CURSOR = -2

/** A row of `logs`, as opening reads it. */
export interface LogRow {
  readonly log: number
  readonly group_name: Buffer
  readonly epoch: Buffer
  readonly signature: Buffer
  readonly upgrades: Buffer
  readonly newest: number
}

export interface BoundsRow {
  readonly first: number
  readonly newest: number
  readonly newest_at: number
}

export interface ClockRow {
  readonly now_ms: number
}

export interface PresenceRow {
  readonly member: Buffer
  readonly data: Buffer
  readonly ttl_ms: number
  readonly age_ms: number
  readonly version: number
}

/** The statements of the logs in one schema. In each, `$1` is the log's number, and `$2` its epoch. */
export class Statements {
  readonly #schema: string

  constructor(schema: string) {
    this.#schema = schema
  }

  /** Parameters: none. */
  get layout(): Statement {
    return this.#named('layout', `SELECT version FROM ${this.#schema}.layout`)
  }

  /** Parameters: the log's name. */
  get find(): Statement {
    return this.#named(
      'find',
      `SELECT log, group_name, epoch, signature, upgrades, newest FROM ${this.#schema}.logs WHERE name = $1`,
    )
  }

  /** Parameters: name, group, epoch, signature, upgrades. Another may make the log at the same time. */
  get make(): Statement {
    return this.#named(
      'make',
      `INSERT INTO ${this.#schema}.logs
         (name, group_name, epoch, signature, upgrades, first, swept, newest, newest_at, largest)
       VALUES ($1, $2, $3, $4, $5, 1, 0, 0, 0, 0) ON CONFLICT (name) DO NOTHING`,
    )
  }

  get bounds(): Statement {
    return this.#named(
      'bounds',
      `SELECT first, newest, newest_at FROM ${this.#schema}.logs WHERE log = $1 AND epoch = $2`,
    )
  }

  /** The server's clock. */
  get clock(): Statement {
    return this.#named(
      'clock',
      `SELECT ${NOW_MS} AS now_ms FROM ${this.#schema}.logs WHERE log = $1 AND epoch = $2`,
    )
  }

  /**
   * Parameters: writer, author, the first seq, the number of entries, the largest payload, kinds, payloads.
   * Returns the index before the first entry and the time of all, or no row if the epoch is another one or the
   * entries were appended already.
   *
   * The rows of the writer and of the log are locked in this order, and stay so until the commit. So entries
   * are visible in the order of their indexes, without gaps. Both conditions hold for the rows as they are once
   * they are locked, not as they were when the statement began.
   */
  get append(): Statement {
    const s = this.#schema
    return this.#named(
      'append',
      `WITH w AS (
         INSERT INTO ${s}.writers AS w (log, writer, author, next, at)
         SELECT log, $3, $4, $5::bigint + $6::bigint, ${NOW_MS} FROM ${s}.logs WHERE log = $1 AND epoch = $2
         ON CONFLICT (log, writer) DO UPDATE SET next = EXCLUDED.next, at = EXCLUDED.at WHERE w.next <= $5
         RETURNING writer
       ), l AS (
         UPDATE ${s}.logs SET newest = newest + $6, newest_at = ${NOW_MS}, largest = greatest(largest, $7)
         FROM w WHERE log = $1 AND epoch = $2
         RETURNING newest - $6 AS before, newest_at
       ), e AS (
         INSERT INTO ${s}.entries (log, index, at, writer, seq, kind, payload)
         SELECT $1, l.before + n, l.newest_at, $3, $5 + n - 1, get_byte($8::bytea, n::integer - 1), p
         FROM l, unnest($9::bytea[]) WITH ORDINALITY AS given (p, n)
       )
       SELECT before, newest_at AS at FROM l`,
    )
  }

  /**
   * Parameters: writer, seq, the index that the entry is after. Returns the entry's index and time. It writes, so
   * its commit waits for the standbys that the entry's own commit should have waited for.
   */
  get confirm(): Statement {
    const s = this.#schema
    return this.#named(
      'confirm',
      `WITH w AS (
         UPDATE ${s}.writers SET at = ${NOW_MS} FROM ${s}.logs
         WHERE writers.log = $1 AND writer = $3 AND logs.log = $1 AND epoch = $2 RETURNING writers.log
       )
       SELECT index, entries.at FROM w, ${s}.entries
       WHERE entries.log = $1 AND writer = $3 AND seq = $4 AND index > $5
       ORDER BY index DESC LIMIT 1`,
    )
  }

  /** Parameters: the index up to which entries are pruned. Returns a row if there is such an entry. */
  get prune(): Statement {
    return this.#named(
      'prune',
      `UPDATE ${this.#schema}.logs SET first = greatest(first, $3::bigint + 1)
       WHERE log = $1 AND epoch = $2 AND newest >= $3 RETURNING first`,
    )
  }

  /** Parameters: the upgrades, and what they were before. Returns a row if they were. */
  get upgrade(): Statement {
    return this.#named(
      'upgrade',
      `UPDATE ${this.#schema}.logs SET upgrades = $3 WHERE log = $1 AND epoch = $2 AND upgrades = $4 RETURNING log`,
    )
  }

  /** Parameters: a writer. */
  get author(): Statement {
    const s = this.#schema
    return this.#named(
      'author',
      `SELECT author FROM ${s}.logs JOIN ${s}.writers USING (log) WHERE log = $1 AND epoch = $2 AND writer = $3`,
    )
  }

  /** Parameters: member, data, TTL. Returns a row if the epoch is the log's. */
  get announce(): Statement {
    const s = this.#schema
    return this.#named(
      'announce',
      `INSERT INTO ${s}.presences AS p (log, member, data, ttl_ms, at)
       SELECT log, $3, $4, $5, ${NOW_US} FROM ${s}.logs WHERE log = $1 AND epoch = $2
       ON CONFLICT (log, member)
       DO UPDATE SET data = EXCLUDED.data, ttl_ms = EXCLUDED.ttl_ms, at = greatest(EXCLUDED.at, p.at + 1)
       RETURNING log`,
    )
  }

  /** Parameters: member. Returns a row if the epoch is the log's. */
  get withdraw(): Statement {
    const s = this.#schema
    return this.#named(
      'withdraw',
      `WITH l AS (SELECT log FROM ${s}.logs WHERE log = $1 AND epoch = $2),
       p AS (DELETE FROM ${s}.presences USING l WHERE presences.log = l.log AND member = $3)
       SELECT log FROM l`,
    )
  }

  /** Remove presences whose time is over for longer than any is good for. Parameters: that time, in microseconds. */
  get forget(): Statement {
    return this.#named(
      'forget',
      `DELETE FROM ${this.#schema}.presences USING ${this.#schema}.logs
       WHERE presences.log = $1 AND logs.log = $1 AND epoch = $2 AND at < ${NOW_US} - ttl_ms * 1000 - $3::bigint`,
    )
  }

  /** One row for each presence; a single row without a member if there is none. */
  get presences(): Statement {
    const s = this.#schema
    return this.#named(
      'presences',
      `SELECT member, data, ttl_ms, (${NOW_US} - at) / 1000.0::double precision AS age_ms, at AS version
       FROM ${s}.logs LEFT JOIN ${s}.presences USING (log) WHERE log = $1 AND epoch = $2`,
    )
  }

  /** Parameters: the most rows to delete. Returns how far they are deleted, and how far they should be. */
  sweep(rows: number): Statement {
    const s = this.#schema
    return {
      name: '',
      text: `
        WITH l AS (SELECT swept, first FROM ${s}.logs WHERE log = $1 AND epoch = $2),
        e AS (DELETE FROM ${s}.entries USING l
          WHERE log = $1 AND index > l.swept AND index < l.first AND index <= l.swept + ${rows})
        SELECT least(swept + ${rows}, first - 1) AS swept, first FROM l`,
    }
  }

  /**
   * Forget writers whose entries are all pruned. Parameters: by how much the last append of one is older than the
   * oldest entry, in milliseconds. Clocks of servers may differ by so much.
   */
  get forgetWriters(): Statement {
    const s = this.#schema
    return this.#named(
      'forget_writers',
      `DELETE FROM ${s}.writers AS w USING ${s}.logs AS l
       WHERE w.log = $1 AND l.log = $1 AND l.epoch = $2 AND w.at + $3::bigint < coalesce(
         (SELECT e.at FROM ${s}.entries AS e WHERE e.log = $1 AND e.index = l.first), l.newest_at)`,
    )
  }

  /** Parameters: how far rows are deleted. */
  get swept(): Statement {
    return this.#named(
      'swept',
      `UPDATE ${this.#schema}.logs SET swept = greatest(swept, $3) WHERE log = $1 AND epoch = $2`,
    )
  }

  /**
   * A page of entries, for `COPY`, which takes no parameters: the log's own row, the entry at the cursor, and
   * those after it. All are of one moment. The range has two ends, because a server without statistics would sort
   * all that is after one.
   *
   * @param bytesMax the most bytes of payloads, not counting the first
   */
  page(log: number, cursor: number, entries: number, bytesMax?: number): string {
    const s = this.#schema
    const some = `SELECT index, at, writer, seq, kind, payload FROM ${s}.entries
      WHERE log = ${log} AND index > ${cursor} AND index <= ${cursor + entries} ORDER BY index`
    const bounded = `SELECT index, at, writer, seq, kind, payload FROM (
        SELECT *, sum(octet_length(payload)) OVER (ORDER BY index ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
          - octet_length(payload) AS before
        FROM (${some}) AS page) AS summed WHERE before < ${bytesMax}`
    return `COPY (
        SELECT newest, newest_at, first, largest, ${HEAD}::smallint, epoch FROM ${s}.logs WHERE log = ${log}
        UNION ALL
        SELECT index, at, writer, seq, ${CURSOR}::smallint, ''::bytea FROM ${s}.entries
        WHERE log = ${log} AND index = ${cursor}
        UNION ALL
        (${bytesMax === undefined ? some : bounded})
      ) TO STDOUT (FORMAT binary)`
  }

  #named(name: string, text: string): Statement {
    return { name: `anchorage_${name}`, text }
  }
}
