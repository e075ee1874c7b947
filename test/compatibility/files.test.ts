import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type { Json, ReplicatedMap } from '../../src/index.ts'
import { describeWithRelease, lastRelease, today } from './last-release.ts'
import { type Library, libraryOf } from './library.ts'

/** What one version of the package has written on a disk is read by the other, with nothing missing. */

const GROUP = 'files'
const SCHEMA = 'CREATE TABLE word (text TEXT PRIMARY KEY) STRICT, WITHOUT ROWID'

describeWithRelease('files of the last release, and files for it', () => {
  let old: Library
  let ours: Library
  let dir: string

  beforeAll(async () => {
    old = await libraryOf(await lastRelease())
    ours = await libraryOf(today)
  })
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'anchorage-files-'))
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  const libraryOfThe = (version: string) => (version === 'old' ? old : ours)

  /**
   * A life of a replica on the log and the data directory in `dir`. What is applied before its end is pruned from
   * the log: the next life has it from the checkpoint, or not at all. Resolves with its problems.
   */
  async function live(library: Library, work: (map: ReplicatedMap) => unknown): Promise<number> {
    const { createReplica, ReplicatedMap, sqliteLog } = library.index
    const map = new ReplicatedMap()
    const log = sqliteLog({ path: join(dir, 'log.db') })
    const options = { dataDir: join(dir, 'data'), volatile: true, leaseMs: 250 }
    await using replica = await createReplica({ group: GROUP, machine: map, log, ...options })
    await replica.inSync()
    await work(map)
    await replica.mark()
    expect(await replica.prune({ keepEntries: 0 })).toBeGreaterThan(0)
    return replica.counts.get('problem') ?? 0
  }

  test('a log and a data directory go from hand to hand, with what either has written', async () => {
    const written: [string, Json][] = []
    for (const [n, library] of [old, ours, old, ours].entries()) {
      const problems = await live(library, async (map) => {
        expect([...map]).toEqual(written)
        await map.set(`key ${n}`, n)
      })
      expect(problems).toBe(0)
      written.push([`key ${n}`, n])
    }
  })

  test.each(['old', 'new'])('a checkpoint that the %s one exported is read by both alike', async (writer) => {
    const path = join(dir, 'exported')
    const { createReplica, ReplicatedMap, memoryLog } = libraryOfThe(writer).index
    const map = new ReplicatedMap()
    const options = { log: memoryLog(), leaseMs: 250, chunkBytes: 1_024 }
    await using replica = await createReplica({ group: GROUP, machine: map, ...options })
    await map.setMany(Array.from({ length: 1_000 }, (_, n) => [`key ${n}`, `value ${n}`]))
    const position = await replica.exportTo(path)
    for (const library of [old, ours]) {
      const { root, chunks, ...read } = await readCheckpoint(library, path)
      expect(read).toEqual({ group: GROUP, signature: map.signature, position, sealed: true })
      expect(root).toEqual(await replica.rootAt(position))
      expect(chunks).toBeGreaterThan(10)
    }
  })

  test.each(['old', 'new'])('a state on the disk that the %s one made is opened by both', async (maker) => {
    // The old one begins the log, whoever makes the state.
    await submitWord(old, join(dir, 'old'), 0)
    for (const [n, library] of [ours, old, ours].entries()) {
      await submitWord(library, join(dir, maker), n + 1)
    }
  })

  test.each(['old', 'new'])(
    'the deadlines of offers that the %s one wrote are read by both',
    async (writer) => {
      const path = join(dir, 'offers.json')
      const { leases } = libraryOfThe(writer)
      const table = new leases.LeaseTable<string>({ clock: leases.systemClock })
      table.register('an epoch:7', 60_000)
      await offersAt(libraryOfThe(writer), path).write(table.toSnapshot())
      for (const library of [old, ours]) {
        expect((await offersAt(library, path).read()).deadlineOf('an epoch:7')).toBeGreaterThan(0)
      }
    },
  )

  test('a checkpoint of a newer format is refused, by its number', async () => {
    const path = join(dir, 'newer')
    await writeFile(path, Buffer.concat([Buffer.from('ANCHCKP'), Buffer.of(99), Buffer.alloc(99)]))
    for (const { checkpoints, storage } of [old, ours]) {
      const opened = checkpoints.openCheckpoint(path, storage.fileStorage)
      await expect(opened).rejects.toThrow(/is of format 99, and this replica is of format \d: move it away/)
    }
  })

  test('a log file of a newer format is refused, by its number', async () => {
    await live(old, () => {})
    const path = join(dir, 'log.db')
    setFormat(path, 99)
    for (const { index } of [old, ours]) {
      const { signature } = new index.ReplicatedMap()
      const opened = index.sqliteLog({ path }).open({ group: GROUP, signature, author: 'a test' })
      await expect(opened).rejects.toThrow(/is of format 99, this version reads format \d.*: use the version/)
    }
  })

  test("a machine's state of a newer format is refused, by its number", async () => {
    const path = join(dir, 'words')
    await submitWord(old, path, 0)
    for (const name of await namesOfStates(path)) setFormat(join(path, name), 99)
    for (const { machines } of [old, ours]) {
      const open = () => machines.sqliteMachine({ path, schema: SCHEMA, apply: () => {} })
      expect(open).toThrow(/is of format 99, this version reads format \d: use the version/)
    }
  })

  test('offers of a newer format are given up, with a problem, and nothing else is', async () => {
    await live(old, (map) => map.set('a', 1))
    for (const library of [old, ours]) {
      await writeFile(join(dir, 'data', 'offers.json'), '{"format":99,"takenAtMs":0,"leases":[]}')
      const problems = await live(library, async (map) => {
        expect(map.get('a')).toBe(1)
        await map.set('b', 2)
      })
      expect(problems).toBe(1)
    }
  })
})

function offersAt({ offers, storage, leases }: Library, path: string) {
  return new offers.OffersFile(path, storage.fileStorage, leases.systemClock)
}

async function readCheckpoint({ checkpoints, storage, encoding }: Library, path: string) {
  await using reader = await checkpoints.openCheckpoint(path, storage.fileStorage)
  let chunks = 0
  for await (const _ of checkpoints.verifiedChunks(reader, encoding.zstdCoder)) chunks++
  const { group, signature, position, sealed, manifest } = reader
  return { group, signature, position, sealed, root: manifest.root, chunks }
}

/** A replica finds as many words as were submitted to the log beside its state, and submits one more. */
async function submitWord(library: Library, path: string, count: number): Promise<void> {
  const { index, machines } = library
  using words = machines.sqliteMachine({
    path,
    schema: SCHEMA,
    apply: (db, command) => db.run('INSERT INTO word VALUES (?)', Buffer.from(command).toString()),
  })
  const log = index.sqliteLog({ path: join(dirname(path), 'words.log') })
  await using replica = await index.createReplica({ group: GROUP, machine: words, log, leaseMs: 250 })
  await replica.inSync()
  expect(words.all('SELECT text FROM word')).toHaveLength(count)
  await words.submit(Buffer.from(`word ${count}`))
}

async function namesOfStates(path: string): Promise<string[]> {
  return (await readdir(path)).filter((name) => name.endsWith('.db'))
}

function setFormat(path: string, format: number): void {
  using db = new DatabaseSync(path)
  db.exec(`PRAGMA user_version = ${format}; PRAGMA wal_checkpoint(TRUNCATE)`)
}
