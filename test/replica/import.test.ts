import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { CheckpointDamaged, DirectoryInUse } from '../../src/checkpoint/errors.ts'
import { AppendUncertain, LogMismatch } from '../../src/log/errors.ts'
import type { LogBackend, LogEntry } from '../../src/log/log.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { sqliteMachine } from '../../src/machines/sqlite/sqlite-machine.ts'
import { StateLost } from '../../src/replica/errors.ts'
import { ImportUnfinished, LogNotEmpty } from '../../src/replica/import/errors.ts'
import { type ImportInit, importInto } from '../../src/replica/import/import-into.ts'
import { itemsInFile } from '../../src/replica/import/source.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { alteredLog, leads, next, TIMES } from './cluster.ts'
import { Journal, line } from './journal.ts'

let dir: string
let file: string
let dataDir: string
const replicas: Replica<unknown>[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'anchorage-import-'))
  file = join(dir, 'backup')
  dataDir = join(dir, 'data')
})
afterEach(async () => {
  await Promise.all(replicas.splice(0).map((replica) => replica.stop()))
  await rm(dir, { recursive: true, force: true })
})

async function start<M extends NonNullable<ReplicaInit<unknown>['machine']>>(
  machine: M,
  log: LogBackend,
  init: Partial<ReplicaInit<unknown>> = {},
): Promise<{ machine: M; replica: Replica<unknown> }> {
  const replica = await createReplica<unknown>({ group: 'new', machine, log, ...TIMES, ...init })
  replicas.push(replica)
  return { machine, replica }
}

/** A file with a state of another group. */
async function backup(
  write: (map: ReplicatedMap) => Promise<void>,
  maxEntryBytes = 16 * 1024 * 1024,
): Promise<void> {
  const map = new ReplicatedMap()
  const log = memoryLog({ maxEntryBytes })
  await using replica = await createReplica({ group: 'old', machine: map, log, chunkBytes: 1024, ...TIMES })
  await leads(replica)
  await write(map)
  await replica.exportTo(file)
}

const numbers = (count: number) =>
  Array.from({ length: count }, (_, n) => [`key ${String(n).padStart(4, '0')}`, n] as const)
const keys = (count: number) => backup(async (map) => void (await map.setMany(numbers(count))))

const into = (log: LogBackend, init: Partial<ImportInit> = {}) =>
  importInto({ log, group: 'new', file, dataDir, ...init })

async function entriesOf(log: LogBackend): Promise<LogEntry[]> {
  const signature = new ReplicatedMap().signature
  const handle = await log.open({ group: 'new', signature, author: 'test' })
  const entries: LogEntry[] = []
  for await (const batch of handle.read({ index: 0 })) entries.push(...batch.entries)
  await handle.close()
  return entries
}

const checkpoints = async () =>
  (await readdir(join(dataDir, 'checkpoints'))).filter((name) => name !== 'chunks')

describe('a log that begins with a snapshot', () => {
  test('has one small entry, and the replica on the data directory has the state and leads', async () => {
    await keys(500)
    const log = memoryLog()
    const progress: number[] = []
    const imported = await into(log, { onProgress: ({ items }) => progress.push(items) })
    expect(imported).toMatchObject({ items: 500, position: { index: 1 }, source: { group: 'old' } })
    expect([progress.length > 1, progress.at(-1)]).toEqual([true, 500])
    const entries = await entriesOf(log)
    expect(entries).toHaveLength(1)
    expect(entries[0]!.payload.length).toBeLessThan(500)

    const { machine, replica } = await start(new ReplicatedMap(), log, { dataDir })
    await leads(replica)
    expect([machine.size, machine.get('key 0007')]).toEqual([500, 7])
    expect(await machine.set('more', 1)).toMatchObject({ position: { index: 3 } })
  })

  test('others get it from that replica, and agree with it from then on', async () => {
    await keys(300)
    const log = memoryLog()
    await into(log)
    const one = await start(new ReplicatedMap(), log, { dataDir })
    await leads(one.replica)
    const two = await start(new ReplicatedMap(), log, { lead: false, volatile: true })
    await two.replica.inSync()
    await one.machine.set('more', 1)
    const anchor = await one.replica.mark()
    expect(await two.replica.rootAt(anchor)).toEqual(await one.replica.rootAt(anchor))
    expect(two.machine.size).toBe(301)
  })

  test('the very snapshot is offered first, sealed by the first entry', async () => {
    await keys(300)
    const log = memoryLog()
    await into(log, { ttlMs: 60_000 })
    const one = await start(new ReplicatedMap(), log, { dataDir })
    await leads(one.replica)
    const two = await start(new ReplicatedMap(), log, { lead: false, volatile: true })
    expect((await next(two.replica, 'caught-up')).anchor.index).toBe(1)
    expect(two.machine.size).toBe(300)
    expect((await entriesOf(log)).filter(({ kind }) => kind === 'control')).toHaveLength(2)
  })

  test('a replica that would rather replay gets it, too, and so does one that waited at the empty log', async () => {
    await keys(10)
    const log = memoryLog()
    const waiting = await start(new ReplicatedMap(), log, { lead: false, volatile: true })
    await waiting.replica.inSync()
    await into(log)
    const one = await start(new ReplicatedMap(), log, { dataDir })
    await leads(one.replica)
    const never = { snapshotAfter: Number.POSITIVE_INFINITY }
    const two = await start(new ReplicatedMap(), log, { lead: false, volatile: true, ...never })
    await Promise.all([two.replica.inSync(), waiting.replica.inSync()])
    await Promise.all([two.replica.barrier(), waiting.replica.barrier()])
    expect([two.machine.size, waiting.machine.size]).toEqual([10, 10])
  })

  test('without a replica that has it, another one is lost and says why, until one starts', async () => {
    await keys(10)
    const log = memoryLog()
    await into(log)
    const times = { requestTimeoutMs: 500 }
    const two = await start(new ReplicatedMap(), log, { lead: false, volatile: true, ...times })
    const error = await two.replica.inSync().catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(StateLost)
    expect((error as Error).message).toMatch(
      /begins with a snapshot of the group "old" at \S+:\d+, and no member .* start a replica that has it/,
    )
    expect(() => two.machine.size).toThrow()
    const back = next(two.replica, 'caught-up')
    const one = await start(new ReplicatedMap(), log, { dataDir })
    await leads(one.replica)
    await back
    expect(two.machine.size).toBe(10)
  })

  test('when its beginning is pruned, it is a log like any other', async () => {
    await keys(10)
    const log = memoryLog()
    await into(log, { ttlMs: 250 })
    const one = await start(new ReplicatedMap(), log, { dataDir, ttlMs: 250 })
    await leads(one.replica)
    await one.machine.set('more', 1)
    // An offer holds the log while it lives.
    while ((await one.replica.prune({ keepEntries: 0 })) === 0) await next(one.replica, 'sync')
    const two = await start(new ReplicatedMap(), log, { lead: false, volatile: true })
    expect((await next(two.replica, 'caught-up')).anchor.index).toBeGreaterThan(1)
    expect(two.machine.size).toBe(11)
    await one.replica.stop()
    const again = await start(new ReplicatedMap(), log, { dataDir })
    await again.replica.inSync()
    expect(again.machine.size).toBe(11)
  })

  test('a value beyond the limit of the new log moves', async () => {
    const large = 'x'.repeat(20_000_000)
    await backup(async (map) => void (await map.set('large', large)), 31 * 1024 * 1024)
    const log = memoryLog({ maxEntryBytes: 64 * 1024 })
    await into(log)
    const one = await start(new ReplicatedMap(), log, { dataDir })
    await leads(one.replica)
    const two = await start(new ReplicatedMap(), log, { lead: false, volatile: true })
    await two.replica.inSync()
    expect(two.machine.get('large')).toBe(large)
  })

  test('keys die when they would have died', async () => {
    await backup(async (map) => {
      await map.set('short', 1, { ttlMs: 1 })
      await map.set('long', 1, { ttlMs: 3_600_000 })
    })
    const log = memoryLog()
    await into(log)
    const { machine, replica } = await start(new ReplicatedMap(), log, { dataDir })
    await leads(replica)
    await machine.set('a', 1)
    expect([machine.get('short'), machine.get('long')]).toEqual([undefined, 1])
    expect(machine.ttl('long')).toBeLessThanOrEqual(3_600_000)
  })

  test('it may hold nothing', async () => {
    await backup(async () => {})
    const log = memoryLog()
    expect(await into(log)).toMatchObject({ items: 0, bytes: 0 })
    const { machine, replica } = await start(new ReplicatedMap(), log, { dataDir })
    await replica.inSync()
    expect(machine.size).toBe(0)
  })

  test('a machine that keeps its state by itself begins with it, and then needs it no more', async () => {
    const table = (path: string) =>
      sqliteMachine({
        path: join(dir, path),
        schema: 'CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL) STRICT',
        apply: (db, command) => db.run('INSERT INTO t (v) VALUES (?)', Buffer.from(command).toString()),
      })
    const count = (machine: ReturnType<typeof table>) =>
      machine.get<{ count: number }>('SELECT count(*) AS count FROM t')!.count
    {
      using old = table('old')
      const source = await createReplica({
        group: 'old',
        machine: old,
        log: memoryLog(),
        ...TIMES,
        volatile: true,
      })
      await leads(source)
      for (let n = 0; n < 20; n++) await old.submit(Buffer.from(`row ${n}`))
      await source.exportTo(file)
      await source.stop()
    }
    const log = memoryLog()
    await into(log)
    const began = table('new')
    {
      const { replica } = await start(began, log, { dataDir, checkpoint: { everyCommands: 5 } })
      await leads(replica)
      expect(count(began)).toBe(20)
      for (let n = 0; n < 10; n++) await began.submit(Buffer.from(`more ${n}`))
      const anchor = await replica.mark()
      await replica.reached(anchor)
      await when(replica, async () => (await checkpoints()).length === 0)
      await replica.stop()
      began.close()
    }
    using again = table('new')
    const { replica } = await start(again, log, { dataDir })
    await replica.inSync()
    expect(count(again)).toBe(30)
    await replica.stop()
  })
})

/** Looks at each checkpoint event, and at most for as long as one takes to come. */
async function when(replica: Replica<unknown>, done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await next(replica, 'checkpoint')
}

describe('an import', () => {
  test('into a log with entries is refused, and the log is left', async () => {
    await keys(10)
    const log = memoryLog()
    const one = await start(new ReplicatedMap(), log, { volatile: true })
    await leads(one.replica)
    const before = await entriesOf(log)
    await expect(into(log)).rejects.toThrow(LogNotEmpty)
    expect(await entriesOf(log)).toEqual(before)
    expect(await checkpoints()).toEqual([])
  })

  test('a second one says what the log begins with', async () => {
    await keys(10)
    const log = memoryLog()
    await into(log)
    await expect(into(log, { dataDir: join(dir, 'other') })).rejects.toThrow(
      'begins with a snapshot of the group "old"',
    )
  })

  test('that comes second leaves the log to the first, and no replica its state', async () => {
    await keys(10)
    const log = memoryLog()
    const late = alteredLog(log, (handle) => ({
      append: async (entries) => {
        await handle.append([{ kind: 'command', payload: line('first') }])
        return await handle.append(entries)
      },
    }))
    await expect(into(late)).rejects.toMatchObject({ name: 'LogNotEmpty', newest: 2 })
    expect(await checkpoints()).toEqual([])
    const { machine, replica } = await start(new ReplicatedMap(), log, { dataDir })
    const skipped: string[] = []
    replica.addEventListener('skipped', ({ detail }) => skipped.push(detail.why))
    await replica.inSync()
    expect(machine.size).toBe(0)
    expect(skipped.some((why) => why.includes('first entry'))).toBe(true)
  })

  test('whose append got no answer looks whether the log has it', async () => {
    await keys(10)
    const log = memoryLog()
    const answerless = alteredLog(log, (handle) => ({
      append: async (entries) => {
        await handle.append(entries)
        throw new AppendUncertain('no answer')
      },
    }))
    await into(answerless)
    const { machine, replica } = await start(new ReplicatedMap(), log, { dataDir })
    await replica.inSync()
    expect(machine.size).toBe(10)
  })

  test('that was cut off before its last step is mended by another one', async () => {
    await keys(10)
    const log = memoryLog()
    const lost = alteredLog(log, () => ({
      append: async () => {
        throw new AppendUncertain('no answer')
      },
    }))
    await expect(into(lost)).rejects.toThrow(AppendUncertain)
    expect(await checkpoints()).toHaveLength(1)
    const refused = start(new ReplicatedMap(), log, { dataDir })
    await expect(refused).rejects.toThrow(ImportUnfinished)
    await expect(refused).rejects.toThrow('import again')
    expect(await entriesOf(log)).toEqual([])

    await into(log)
    const { machine, replica } = await start(new ReplicatedMap(), log, { dataDir })
    await replica.inSync()
    expect(machine.size).toBe(10)
  })

  test('that was cut off, after which somebody else began the log, gives no replica its state', async () => {
    await keys(10)
    const log = memoryLog()
    const lost = alteredLog(log, () => ({
      append: async () => {
        throw new AppendUncertain('no answer')
      },
    }))
    await expect(into(lost)).rejects.toThrow(AppendUncertain)
    await leads((await start(new ReplicatedMap(), log, { volatile: true })).replica)
    await expect(start(new ReplicatedMap(), log, { dataDir })).rejects.toThrow('begins with something else')
  })

  test('of a damaged file leaves the log empty', async () => {
    await keys(500)
    const bytes = await readFile(file)
    bytes[3000]! ^= 1
    await writeFile(file, bytes)
    const log = memoryLog()
    await expect(into(log)).rejects.toThrow(CheckpointDamaged)
    expect(await entriesOf(log)).toEqual([])
    await expect(start(new ReplicatedMap(), log, { dataDir })).resolves.toBeDefined()
  })

  test('makes no log before all chunks are there', async () => {
    await keys(500)
    const path = join(dir, 'new.db')
    const seen: boolean[] = []
    await into(sqliteLog({ path }), { onProgress: () => seen.push(existsSync(path)) })
    expect([new Set(seen), existsSync(path)]).toEqual([new Set([false]), true])
  })

  test('leaves a log that was begun while it wrote chunks, and takes them back', async () => {
    await keys(500)
    const log = memoryLog()
    const signature = new ReplicatedMap().signature
    const others: Promise<unknown>[] = []
    const begin = async () => {
      const handle = await log.open({ group: 'new', signature, author: 'test' })
      await handle.append([{ kind: 'command', payload: line('first') }])
    }
    const onProgress = () => void others.push(begin())
    await expect(into(log, { onProgress })).rejects.toThrow(LogNotEmpty)
    await Promise.all(others)
    expect([await checkpoints(), await readdir(join(dataDir, 'checkpoints', 'chunks'))]).toEqual([[], []])
  })

  test('that is given up leaves the log empty', async () => {
    await keys(500)
    const log = memoryLog()
    const stopping = new AbortController()
    const imported = into(log, {
      signal: stopping.signal,
      onProgress: () => stopping.abort(new Error('enough')),
    })
    await expect(imported).rejects.toThrow('enough')
    expect([await entriesOf(log), await checkpoints()]).toEqual([[], []])
  })

  test('needs a directory of its own, and keeps what other logs have left there', async () => {
    await keys(10)
    {
      const { replica } = await start(new ReplicatedMap(), memoryLog(), { dataDir })
      await leads(replica)
      await expect(into(memoryLog())).rejects.toThrow(DirectoryInUse)
      await replica.submit(new ReplicatedMap().commands.set('a', 1))
      await replica.stop()
    }
    const [old] = await checkpoints()
    const log = memoryLog()
    await into(log)
    const { machine, replica } = await start(new ReplicatedMap(), log, { dataDir })
    await replica.inSync()
    expect(machine.size).toBe(10)
    expect(existsSync(join(dataDir, 'checkpoints', old!))).toBe(true)
  })
})

test('a newer version of the machine begins with the state as the version that the file is of', async () => {
  await keys(10)
  const installed: (string | undefined)[] = []
  class Newer extends ReplicatedMap {
    override readonly signature = 'map/3'
    readonly older = [new ReplicatedMap().signature]
    override install(signature?: string) {
      installed.push(signature)
      return super.install()
    }
  }
  const log = memoryLog()
  await into(log)
  const one = await start(new Newer(), log, { dataDir })
  await leads(one.replica)
  const two = await start(new Newer(), log, { lead: false, volatile: true })
  await two.replica.inSync()
  expect([one.machine.size, two.machine.size]).toEqual([10, 10])
  expect(installed).toEqual([...one.machine.older, ...one.machine.older])

  // Once the group went over to the newer version, so has what it exports.
  await one.replica.upgrade()
  await one.machine.set('more', 1)
  file = join(dir, 'newer')
  await one.replica.exportTo(file)
  const [newLog, newDir] = [memoryLog(), join(dir, 'newer-data')]
  expect(await into(newLog, { dataDir: newDir })).toMatchObject({ signature: 'map/3', items: 11 })
  const three = await start(new Newer(), newLog, { dataDir: newDir })
  await leads(three.replica)
  expect([three.machine.size, installed.at(-1)]).toEqual([11, 'map/3'])
  await expect(start(new ReplicatedMap(), newLog)).rejects.toThrow(LogMismatch)
})

describe('a transform', () => {
  const signature = 'journal/1'
  /** The items of a map, as a journal has them. */
  async function* lines(items: AsyncIterable<Uint8Array>) {
    let n = 0
    for await (const _ of items) yield line(`line ${n++}`)
  }

  test('makes the items of another machine, which are cut anew', async () => {
    await keys(400)
    const log = memoryLog()
    const seen: unknown[] = []
    const transform = {
      signature,
      items(items: AsyncIterable<Uint8Array>, source: unknown) {
        seen.push(source)
        return lines(items)
      },
    }
    const imported = await into(log, { transform, chunkBytes: 512 })
    expect(imported).toMatchObject({ items: 400, signature })
    expect(seen).toEqual([
      {
        group: 'old',
        signature: new ReplicatedMap().signature,
        position: expect.anything(),
        timeMs: expect.any(Number),
      },
    ])
    const one = await start(new Journal(), log, { dataDir })
    await leads(one.replica)
    const two = await start(new Journal(), log, { lead: false, volatile: true })
    await two.replica.inSync()
    expect(two.machine.lines).toEqual(Array.from({ length: 400 }, (_, n) => `line ${n}`))
  })

  test('of which the machine is the only judge', async () => {
    await keys(10)
    const log = memoryLog()
    await into(log, { transform: { items: () => itemsOf(line('no item of a map')) } })
    const { replica } = await start(new ReplicatedMap(), log, { dataDir })
    const { reason } = (await next(replica, 'checkpoint')) as { readonly reason?: Error }
    expect(reason?.name).toBe('InstallFailed')
  })

  test('that yields something else, or throws, leaves the log empty', async () => {
    await keys(10)
    const log = memoryLog()
    const texts = () => itemsOf('text' as unknown as Uint8Array)
    await expect(into(log, { transform: { items: texts } })).rejects.toThrow('give a Uint8Array')
    await expect(into(log, { transform: { items: () => failing() } })).rejects.toThrow('a bad transform')
    expect([await entriesOf(log), await checkpoints()]).toEqual([[], []])
  })

  test('may merge another file', async () => {
    await keys(10)
    const log = memoryLog()
    async function* merged(items: AsyncIterable<Uint8Array>) {
      yield* lines(items)
      for await (const _ of itemsInFile(file)) yield line('again')
    }
    expect(await into(log, { transform: { signature, items: merged } })).toMatchObject({ items: 20 })
  })

  async function* itemsOf(...items: readonly Uint8Array[]) {
    yield* items
  }

  async function* failing(): AsyncGenerator<Uint8Array> {
    yield line('one')
    throw new Error('a bad transform')
  }
})
