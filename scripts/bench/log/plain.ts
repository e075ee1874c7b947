import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { DeliverPolicy, jetstream } from '@nats-io/jetstream'
import { connect, nuid } from '@nats-io/transport-node'
import { Client } from 'pg'
import { type Made, make, makeForeign } from './stream.ts'
import type { Place, Subject } from './subject.ts'

/** Rows that a reader takes at a time. */
const ROWS_MAX = 1_000
/** How soon a reader at the end looks again, in milliseconds. */
const POLL_MS = 1
/** Messages that the client asks for at a time. Fewer are slower, up to 5,000; more are not faster. */
const MESSAGES_MAX = 20_000

/** What one would use instead of our log. */
export async function openPlain(place: Place): Promise<Subject> {
  switch (place.backend) {
    case 'memory':
      return openArray([])
    case 'sqlite':
      return openTable(place.path)
    case 'jetstream':
      return await openStream(await make(place))
    case 'foreign':
      return await openStream(await makeForeign(place))
    case 'postgres':
      return await openServerTable(place.url, place.schema)
    default:
      return place satisfies never
  }
}

function openArray(entries: Uint8Array[]): Subject {
  return {
    async append(payloads) {
      for (const payload of payloads) entries.push(payload.slice())
      return entries.length
    },
    async follow(count, each) {
      for (let at = 0; at < count; ) {
        if (at < entries.length) each(entries[at++]!)
        else await delay(POLL_MS)
      }
    },
    again: async () => openArray(entries),
    [Symbol.asyncDispose]: async () => {},
  }
}

function openTable(path: string): Subject {
  const db = new DatabaseSync(path)
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  db.exec('CREATE TABLE IF NOT EXISTS entries (idx INTEGER PRIMARY KEY, payload BLOB NOT NULL)')
  const insert = db.prepare('INSERT INTO entries (payload) VALUES (?)')
  const select = db.prepare(`SELECT idx, payload FROM entries WHERE idx > ? ORDER BY idx LIMIT ${ROWS_MAX}`)
  select.setReturnArrays(true)
  return {
    async append(payloads) {
      db.exec('BEGIN IMMEDIATE')
      for (const payload of payloads) insert.run(payload)
      db.exec('COMMIT')
    },
    async follow(count, each) {
      for (let last = 0; last < count; ) {
        const rows = select.all(last) as unknown as [number, Uint8Array][]
        for (const [index, payload] of rows) {
          each(payload)
          last = index
        }
        if (rows.length === 0) await delay(POLL_MS)
      }
    },
    again: async () => openTable(path),
    [Symbol.asyncDispose]: async () => db.close(),
  }
}

/** `INSERT`s of as many rows as there are payloads, and each name of a statement for one number of rows. */
async function openServerTable(url: string, table: string): Promise<Subject> {
  const client = new Client(url)
  await client.connect()
  await client.query(
    `CREATE TABLE IF NOT EXISTS ${table} (idx bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, payload bytea NOT NULL)`,
  )
  return {
    async append(payloads) {
      const rows = payloads.map((_, n) => `($${n + 1})`).join(', ')
      const text = `INSERT INTO ${table} (payload) VALUES ${rows}`
      await client.query({ name: `insert ${payloads.length}`, text, values: [...payloads] })
    },
    async follow(count, each) {
      const text = `SELECT idx, payload FROM ${table} WHERE idx > $1 ORDER BY idx LIMIT ${ROWS_MAX}`
      for (let last = '0', seen = 0; seen < count; ) {
        const { rows } = await client.query({ name: 'select', text, values: [last], rowMode: 'array' })
        for (const [index, payload] of rows as [string, Uint8Array][]) {
          each(payload)
          last = index
          seen++
        }
        if (rows.length === 0) await delay(POLL_MS)
      }
    },
    again: () => openServerTable(url, table),
    [Symbol.asyncDispose]: () => client.end(),
  }
}

async function openStream(made: Made): Promise<Subject> {
  // With stack traces of its requests, the client publishes half as fast.
  const nc = await connect({ servers: made.url, noAsyncTraces: true })
  const js = jetstream(nc)
  const prefix = nuid.next()
  let ids = 0
  return {
    async append(payloads) {
      const acks = payloads.map((payload) =>
        js.publish(made.subject, payload, { msgID: `${prefix}.${++ids}` }),
      )
      return await (acks.length === 1 ? acks[0] : Promise.all(acks))
    },
    async follow(count, each) {
      const consumer = await js.consumers.get(made.stream, { deliver_policy: DeliverPolicy.All })
      const messages = await consumer.consume({ max_messages: MESSAGES_MAX })
      let seen = 0
      for await (const { data } of messages) {
        each(data)
        if (++seen === count) break
      }
      await messages.close()
    },
    again: () => openStream(made),
    [Symbol.asyncDispose]: () => nc.close(),
  }
}
