import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FIRST_FORMAT, GROUP_FORMAT } from '../../src/group/formats.ts'
import { createReplica, sqliteLog } from '../../src/index.ts'
import { EntryEncoder } from '../../src/log/jetstream/entry.ts'
import { sqliteMachine } from '../../src/machines/index.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { PROTOCOL_VERSION } from '../../src/sync/limits.ts'

/** The table of formats in docs/compatibility.md, held against what is written. */

const DOCUMENT = new URL('../../docs/compatibility.md', import.meta.url)
/** Those that have no number, or one that other tests hold. */
const NOT_MEASURED = [
  'control entries',
  'announcements',
  'a log on NATS',
  'what a group keeps of a stream of others',
  'chunks, and where they end; roots',
  '`identity.key`, `epoch`, `lock`',
  'messages between `startCluster` and its processes',
]
/** Where the format stands in a checkpoint's file: after the magic number. */
const CHECKPOINT_FORMAT_AT = 7

const GROUP = 'measured'
let dir: string

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'anchorage-document-'))
  await writeEverything()
})
afterAll(() => rm(dir, { recursive: true, force: true }))

/** Each file that a replica writes, in both kinds of state: kept by it, and kept by the machine. */
async function writeEverything(): Promise<void> {
  const map = new ReplicatedMap()
  const log = sqliteLog({ path: join(dir, 'map.db') })
  const options = { group: GROUP, leaseMs: 250, chunkBytes: 1_000 }
  await using replica = await createReplica({ ...options, machine: map, log, dataDir: join(dir, 'data') })
  // Of these chunks one can be made smaller, and the other cannot.
  await map.set('many zeros', '0'.repeat(100_000))
  await map.set('one', 1)
  await replica.exportTo(join(dir, 'exported'))

  using words = sqliteMachine({
    path: join(dir, 'words'),
    schema: 'CREATE TABLE word (text TEXT)',
    apply: () => {},
  })
  await using other = await createReplica({
    ...options,
    machine: words,
    log: sqliteLog({ path: join(dir, 'words.db') }),
  })
  await words.submit(Buffer.of(1))
  await other.inSync()
}

async function byteAt(file: string, at: number): Promise<number> {
  return (await readFile(join(dir, file)))[at]!
}

async function checkpointFormats(): Promise<number[]> {
  const names = await readdir(join(dir, 'data/checkpoints'))
  const files = names.filter((name) => name.endsWith('.checkpoint')).map((name) => `data/checkpoints/${name}`)
  return await Promise.all(files.map((file) => byteAt(file, CHECKPOINT_FORMAT_AT)))
}

async function chunkEncodings(): Promise<number[]> {
  const names = await readdir(join(dir, 'data/checkpoints/chunks'))
  return await Promise.all(names.map((name) => byteAt(`data/checkpoints/chunks/${name}`, 0)))
}

function query(file: string, sql: string): unknown {
  using db = new DatabaseSync(join(dir, file))
  return Object.values(db.prepare(sql).get()!)[0]
}

async function logFormats(): Promise<unknown[]> {
  const { signature } = new ReplicatedMap()
  const of = { group: GROUP, signature, author: 'a test' }
  const log = await sqliteLog({ path: join(dir, 'made.db') }).open(of)
  const made = query('made.db', 'PRAGMA user_version')
  await log.noteUpgrade(signature, 1)
  await log.close()
  return [made, query('made.db', 'PRAGMA user_version')]
}

const parsed = (bytes: unknown) => JSON.parse(Buffer.from(bytes as Uint8Array).toString())

const MEASURED: Record<string, () => unknown> = {
  "the group's state, in every snapshot and so in every root": () => [FIRST_FORMAT, GROUP_FORMAT],
  'an entry of a stream': () => {
    return [new EntryEncoder('e', 'a').encode({ kind: 'command', payload: Buffer.of() }).data[0]]
  },
  'a log in a file': logFormats,
  'the sync protocol': () => [PROTOCOL_VERSION],
  'a checkpoint as one file': async () => [await byteAt('exported', CHECKPOINT_FORMAT_AT)],
  'a checkpoint that lists its chunks': checkpointFormats,
  "a chunk's file": chunkEncodings,
  '`offers.json`': async () => [parsed(await readFile(join(dir, 'data/offers.json'))).format],
  'the note of a machine that keeps its state': () => {
    return [parsed(query('words/state.1.db', 'SELECT note FROM anchorage_state')).format]
  },
  'the file of a `sqliteMachine`': () => [query('words/state.1.db', 'PRAGMA user_version')],
}

/** The cells of each row of the table, by the first one. */
async function rows(): Promise<Map<string, string[]>> {
  const [, table = ''] = (await readFile(DOCUMENT, 'utf8')).split('## The formats')
  const lines = table
    .split('## ')[0]!
    .split('\n')
    .filter((line) => line.startsWith('| '))
  const cells = lines.slice(2).map((line) => line.split(' | ').map((cell) => cell.replace(/^\| /, '')))
  return new Map(cells.map(([name, ...others]) => [name!, others]))
}

test('the table of formats names each, and what is written of it', async () => {
  const table = await rows()
  expect([...table.keys()].sort()).toEqual([...Object.keys(MEASURED), ...NOT_MEASURED].sort())
  for (const [name, measure] of Object.entries(MEASURED)) {
    const written = table.get(name)![1]!.split(', ')
    const found = new Set(((await measure()) as unknown[]).map(String))
    expect([...found].sort(), name).toEqual(written)
  }
})
