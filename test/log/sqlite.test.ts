import { randomBytes } from 'node:crypto'
import {
  closeSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { GROUP_BYTES_MAX, SIGNATURE_BYTES_MAX } from '../../src/bounds.ts'
import { AppendQueue } from '../../src/log/append-queue.ts'
import {
  AppendUncertain,
  EpochChanged,
  LogBusy,
  LogDamaged,
  LogMismatch,
  LogTruncated,
  LogUnusable,
} from '../../src/log/errors.ts'
import { BATCH_BYTES_MAX, BATCH_ENTRIES_MAX } from '../../src/log/limits.ts'
import type { Log, LogEntry, NewEntry } from '../../src/log/log.ts'
import { Connection } from '../../src/log/sqlite/file.ts'
import { type SqliteLogOptions, sqliteLog } from '../../src/log/sqlite.ts'
import { Child } from './child.ts'
import { conformance } from './conformance.ts'
import { commands, Follower, failureOf, init, numbers, readAll, text } from './entries.ts'

conformance('sqliteLog', {
  lacks: { cutOff: 'no servers order it' },
  async make() {
    const folder = mkdtempSync(join(tmpdir(), 'anchorage-log-'))
    const path = join(folder, 'group.log')
    const backend = () => sqliteLog({ path, maxEntryBytes: 100_000, pollMs: 20 })
    return {
      backend: backend(),
      reopen: backend,
      async recreate() {
        remove(path)
        const log = await backend().open(init())
        await log.close()
      },
      async save() {
        const copy = backUp(path)
        return async () => restore(path, copy)
      },
      async dispose() {
        rmSync(folder, { recursive: true })
      },
    }
  },
})

function remove(path: string): void {
  for (const part of ['', '-wal', '-shm']) rmSync(path + part, { force: true })
}

/** A copy of the log as it is now. */
function backUp(path: string): string {
  const copy = `${path}.backup`
  using source = new DatabaseSync(path)
  source.prepare('VACUUM INTO ?').run(copy)
  using target = new DatabaseSync(copy)
  target.exec('PRAGMA journal_mode = WAL')
  return copy
}

/** Put a backup in the log's place, as docs/operations.md tells the operator. */
function restore(path: string, copy: string): void {
  for (const part of ['-wal', '-shm']) rmSync(path + part, { force: true })
  renameSync(copy, path)
}

describe('the file of a sqliteLog', () => {
  let folder: string
  let path: string
  let opened: Log[]

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'anchorage-log-'))
    path = join(folder, 'group.log')
    opened = []
  })

  afterEach(async () => {
    await Promise.all(opened.map((log) => log.close()))
    rmSync(folder, { recursive: true })
  })

  async function open(options: Partial<SqliteLogOptions> = {}): Promise<Log> {
    const log = await sqliteLog({ path, pollMs: 20, ...options }).open(init())
    opened.push(log)
    return log
  }

  function rows(): number {
    using db = new DatabaseSync(path, { readOnly: true })
    return db.prepare('SELECT count(*) AS count FROM entries').get()!.count as number
  }

  /** Alters the file without the log. */
  function alter(sql: string): void {
    using db = new DatabaseSync(path, { timeout: 5000 })
    db.exec(sql)
  }

  describe('shared by processes', () => {
    test('everything that three processes append reaches a follower in a fourth, once and in order', async () => {
      const log = await open()
      const follower = new Follower(log)
      const names = ['bob', 'carol', 'dave']
      const children = names.map((name) => new Child('process.ts', 'append-200', path, name))
      using _ = { [Symbol.dispose]: () => children.forEach((child) => void child[Symbol.dispose]()) }
      await Promise.all(children.map((child) => child.ready()))
      for (const child of children) child.go()
      const entries = await follower.take(600)
      expect(entries.map(({ index }) => index)).toEqual(numbers(1, 600).map(Number))
      for (const name of names)
        expect(entries.filter(({ author }) => author === name).map(text)).toEqual(numbers(1, 200))
      expect(await Promise.all(children.map((child) => child.line()))).toEqual(['done', 'done', 'done'])
    })

    test('if several processes make it at once, one wins, and all use its log', async () => {
      const children = numbers(1, 4).map((n) => new Child('process.ts', 'open', path, n))
      using _ = { [Symbol.dispose]: () => children.forEach((child) => void child[Symbol.dispose]()) }
      await Promise.all(children.map((child) => child.ready()))
      for (const child of children) child.go()
      const epochs = await Promise.all(children.map((child) => child.line()))
      expect(await Promise.all(children.map((child) => child.exitCode()))).toEqual([0, 0, 0, 0])
      const log = await open()
      expect(new Set(epochs)).toEqual(new Set([log.epoch]))
      expect((await readAll(log)).map(text).toSorted()).toEqual(numbers(1, 4))
      expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([])
    })

    test('appends that were acknowledged to a killed process are there, exactly once and whole', async () => {
      const log = await open()
      const follower = new Follower(log)
      using child = new Child('process.ts', 'append-pairs-forever', path, 'bob')
      const told = new Map<string, number>()
      for (let line = await child.line(); line; line = await child.line()) {
        const [n, first] = line.split(' ')
        told.set(n!, Number(first))
        if (told.size === 200) child.signal('SIGKILL')
      }
      const entries = await readAll(log)
      for (const [n, first] of told)
        expect(entries.filter((entry) => text(entry) === n).map(({ index }) => index)).toEqual([
          first,
          first + 1,
        ])
      expect(entries.map(text)).toEqual(entries.map((_, at) => `${Math.floor(at / 2) + 1}`))
      await log.append(commands('goes on'))
      expect((await follower.take(entries.length + 1)).map(text).at(-1)).toBe('goes on')
    })

    test('a process stopped inside a transaction makes writers LogBusy, and readers go on', async () => {
      const log = await open({ lockTimeoutMs: 200 })
      await log.append(commands('1'))
      const follower = new Follower(log)
      using child = new Child('process.ts', 'hold-lock', path)
      await child.ready()
      child.signal('SIGSTOP')
      const failures = [
        log.append(commands('2')),
        log.append(commands('3')),
        log.prune(1),
        log.noteUpgrade('map/2', 1),
        log.notices.announce('alice', new Uint8Array(1), 1000),
      ].map(failureOf)
      let isWaiting = true
      const waited = Promise.all(failures).finally(() => (isWaiting = false))
      let reads = 0
      while (isWaiting) {
        expect((await readAll(log)).map(text)).toEqual(['1'])
        expect((await log.bounds()).first).toBe(1)
        reads++
      }
      expect(reads).toBeGreaterThan(1)
      for (const failure of await waited) {
        expect(failure).toBeInstanceOf(LogBusy)
        expect((failure as LogBusy).waitedMs).toBeGreaterThanOrEqual(200)
      }
      child.signal('SIGKILL')
      await child.exitCode()
      expect(await log.append(commands('again'))).toEqual({ first: 2, last: 2 })
      expect((await follower.take(2)).map(text)).toEqual(['1', 'again'])
    })

    test.each([-600_000, 600_000, 2_300_000_000_000])(
      'an announcement removes presences that have not changed for their TTL, with the clock moved by %i ms',
      async (stepMs) => {
        const log = await open()
        await log.notices.announce('living', new Uint8Array(1), 60_000)
        await log.notices.announce('dead', new Uint8Array(1), 50)
        await log.notices.announce('living', new Uint8Array(1), 60_000)
        // Moving the stored times has the same effect on later readers as moving the clock.
        const db = new DatabaseSync(path)
        db.prepare('UPDATE notices SET at = at - ?').run(stepMs)
        db.close()
        const members = async () => (await log.notices.read()).map(({ member }) => member)
        expect(await members()).toEqual(['dead', 'living'])
        await vi.waitFor(async () => {
          await log.notices.announce('living', new Uint8Array(1), 60_000)
          expect(await members()).toEqual(['living'])
        })
      },
    )

    test('an entry has the timestamp of its own clock, even if the last one has a later timestamp', async () => {
      const log = await open()
      await log.append(commands('of 2099'))
      const db = new DatabaseSync(path)
      db.exec('UPDATE entries SET ts = ts + 2300000000000')
      db.close()
      const before = Date.now()
      await log.append(commands('of now'))
      const times = (await readAll(log)).map(({ timestampMs }) => timestampMs)
      expect(times[0]).toBeGreaterThan(before + 2_000_000_000_000)
      expect(times[1]).toBeGreaterThanOrEqual(before)
      expect(times[1]).toBeLessThanOrEqual(Date.now())
    })

    test('closing does not wait for a lock that is not available', async () => {
      const log = await open({ lockTimeoutMs: 600_000 })
      using child = new Child('process.ts', 'hold-lock', path)
      await child.ready()
      const failure = failureOf(log.append(commands('x')))
      await log.close()
      expect(await failure).toBeInstanceOf(LogBusy)
    })

    test('a process exits by itself after close, and never uses SQLite in its main thread', async () => {
      using child = new Child('main-thread.ts', path)
      expect(await child.line()).toBe('done')
      expect(await child.exitCode()).toBe(0)
      expect(readdirSync(folder)).toEqual(['group.log'])
    })
  })

  describe('refused', () => {
    /** The refusal must leave the folder as it was. */
    async function refusal(): Promise<Error> {
      const before = readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))])
      const failure = await failureOf(open())
      expect(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))])).toEqual(before)
      return failure as Error
    }

    test.each([
      ['empty', ''],
      ['short', 'a few words'],
      ['long', 'many words '.repeat(1000)],
    ])('a file that is not SQLite: %s', async (_, content) => {
      writeFileSync(path, content)
      const failure = await refusal()
      expect(failure).toBeInstanceOf(LogUnusable)
      expect(failure.message).toContain('choose another path')
    })

    test.each(['DELETE', 'WAL'])('another program’s SQLite database, in %s mode', async (mode) => {
      alter(
        `PRAGMA journal_mode = ${mode}; CREATE TABLE entries (idx INTEGER); INSERT INTO entries VALUES (1)`,
      )
      const failure = await refusal()
      expect(failure).toBeInstanceOf(LogUnusable)
      expect(failure.message).toContain('choose another path')
    })

    test('a folder', async () => {
      path = folder
      expect(await failureOf(open())).toBeInstanceOf(LogUnusable)
    })

    test('a log of a newer format', async () => {
      await (await open()).close()
      alter('PRAGMA user_version = 3; PRAGMA wal_checkpoint(TRUNCATE)')
      const failure = await refusal()
      expect(failure).toBeInstanceOf(LogUnusable)
      expect(failure.message).toContain('is of format 3, this version reads format 2')
    })

    test('another group’s log, untouched', async () => {
      const log = await sqliteLog({ path }).open(init({ group: 'another' }))
      await log.close()
      expect(await refusal()).toBeInstanceOf(LogMismatch)
    })

    test('a path in a folder that does not exist', async () => {
      const failure = await failureOf(open({ path: join(folder, 'missing', 'group.log') }))
      expect(failure).toBeInstanceOf(LogUnusable)
      expect((failure as Error).message).toContain(`make the folder ${join(folder, 'missing')} first`)
    })

    test('a log that is gone while its -wal is there: it would be played back into the new one', async () => {
      const log = await open()
      await log.append(commands('1'))
      unlinkSync(path)
      const failure = await failureOf(open())
      expect(failure).toBeInstanceOf(LogUnusable)
      expect((failure as Error).message).toContain(`remove ${path}-wal`)
    })
  })

  test('the file is recognised at any moment, also in the middle of a checkpoint', async () => {
    const log = await open()
    const payload = new Uint8Array(1000)
    const entries = Array.from({ length: 2000 }, () => ({ kind: 'command', payload }) as const)
    let isAppending = true
    const appends = Promise.all(numbers(1, 60).map(() => log.append(entries)))
    const appended = appends.finally(() => (isAppending = false))
    // The first note makes a table, which moves other pages in the file.
    const noted = log.noteUpgrade('map/2', 1)
    while (isAppending) {
      for (let n = 0; n < 20; n++) Connection.open(path, init().group).close()
      await nextTurn()
    }
    expect((await appended).at(-1)).toMatchObject({ last: 120_000 })
    await noted
    const connection = Connection.open(path, init().group)
    expect(connection.meta).toMatchObject({ signature: 'map/1', epoch: log.epoch })
    connection.close()
  })

  test('a note adds a table, which no other log has, and a version that the first release refuses', async () => {
    const group = 'g'.repeat(GROUP_BYTES_MAX)
    const signature = 's'.repeat(SIGNATURE_BYTES_MAX)
    const log = await sqliteLog({ path }).open(init({ group, signature }))
    opened.push(log)
    const schema = () => {
      using db = new DatabaseSync(path, { readOnly: true })
      const [{ user_version: version } = {}] = db.prepare('PRAGMA user_version').all()
      const objects = db.prepare('SELECT name, rootpage FROM sqlite_schema').all()
      return { version, objects, meta: db.prepare('SELECT * FROM meta').all() }
    }
    await log.append(commands(...numbers(1, 3_000)))
    const before = schema()
    expect(before).toMatchObject({ version: 1, meta: [{ epoch: log.epoch, group, signature }] })
    await log.noteUpgrade('u'.repeat(SIGNATURE_BYTES_MAX), 7)
    const { objects, ...others } = schema()
    expect({ ...others, objects: objects.slice(0, -1) }).toEqual({ ...before, version: 2 })
    expect(objects.at(-1)).toMatchObject({ name: 'upgrades' })
  })

  test('payloads of any bytes and any sizes come back whole, large ones in smaller batches', async () => {
    const log = await open()
    const sizes = [0, 0, ...numbers(1, 2000).map((n) => Number(n) % 7), 300_000, 300_000, 1, 2_000_000, 0]
    const entries = [...sizes, ...sizes].map((bytes, n) => {
      const payload = Uint8Array.from({ length: bytes }, (_, at) => 31 * n + at)
      return { kind: n % 3 === 0 ? 'control' : 'command', payload } as const
    })
    await Promise.all([log.append(entries.slice(0, 1)), log.append(entries.slice(1))])
    const read: LogEntry[] = []
    for await (const batch of log.read({ index: 0 })) {
      const bytes = batch.entries.reduce((sum, { payload }) => sum + payload.byteLength, 0)
      if (batch.entries.length > 1) expect(bytes).toBeLessThanOrEqual(BATCH_BYTES_MAX)
      expect(batch.entries.length).toBeLessThanOrEqual(BATCH_ENTRIES_MAX)
      read.push(...batch.entries)
    }
    expect(read.map(({ kind }) => kind)).toEqual(entries.map(({ kind }) => kind))
    const hex = ({ payload }: NewEntry) => Buffer.from(payload).toString('hex')
    expect(read.map(hex)).toEqual(entries.map(hex))
    expect(new Set(read.map(({ id }) => id)).size).toBe(entries.length)
  })

  test('appends that follow settled appends share one transaction', async () => {
    const transactions: number[] = []
    const queue = new AppendQueue(async (entries) => {
      transactions.push(entries.length)
      return { first: 1, last: entries.length }
    })
    const appendThrice = async () => {
      for (let n = 0; n < 3; n++) await queue.append(commands('x'))
    }
    await Promise.all(numbers(1, 10).map(appendThrice))
    expect(transactions).toEqual([1, 10, 10, 9])
  })

  test('while they gather, a queue with parts hands over all but the newest', async () => {
    const parts: [entries: number, isMoreToCome: boolean][] = []
    const queue = new AppendQueue(async (entries, isMoreToCome) => {
      parts.push([entries.length, isMoreToCome])
      return { first: 1, last: entries.length }
    }, 4)
    const appendTwice = async () => {
      for (let n = 0; n < 2; n++) await queue.append(commands('x'))
    }
    await Promise.all(numbers(1, 11).map(appendTwice))
    const part = [4, true]
    expect(parts).toEqual([[1, false], [10, true], part, part, [3, false]])
  })

  test('appends that follow a thousand settled ones are each where they are said to be', async () => {
    const log = await open()
    const placed = await Promise.all(
      numbers(1, 1000).map(async (line) => {
        const placed: [text: string, index: number][] = []
        for (const round of numbers(1, 5)) {
          const entries = commands(...numbers(1, 1 + (Number(line) % 3)).map((n) => `${line}-${round}-${n}`))
          const { first, last } = await log.append(entries)
          expect(last - first).toBe(entries.length - 1)
          placed.push(...entries.map((entry, n): [string, number] => [text(entry), first + n]))
        }
        return placed
      }),
    )
    const read = (await readAll(log)).map((entry): [string, number] => [text(entry), entry.index])
    expect(read).toEqual(placed.flat().sort(([, a], [, b]) => a - b))
  })

  /** Settles `count` appends together, and calls `then` for each of them, in one turn. */
  async function settleTogether<T>(log: Log, count: number, then: (n: number) => Promise<T>): Promise<T[]> {
    // The others gather while this one is written, and are then one transaction.
    const first = log.append(commands('first'))
    const others = numbers(1, count).map(async (n) => {
      await log.append(commands('one of many'))
      return await then(Number(n))
    })
    await first
    return await Promise.all(others)
  }

  /** Returns when another connection has the lock, or soon if none takes it. */
  function awaitLocked(): void {
    using db = new DatabaseSync(path, { timeout: 0 })
    try {
      for (let tries = 0; tries < 10_000; tries++) db.exec('BEGIN IMMEDIATE; ROLLBACK')
    } catch {
      // It is locked.
    }
  }

  test('appends that were handed over in parts are refused together, and none is written', async () => {
    const log = await open({ lockTimeoutMs: 20 })
    using db = new DatabaseSync(path, { timeout: 5000 })
    const failures = await settleTogether(log, 600, (n) => {
      if (n === 1) db.exec('BEGIN IMMEDIATE')
      return failureOf(log.append(commands('refused')))
    })
    for (const failure of failures) expect(failure).toBeInstanceOf(LogBusy)
    db.exec('ROLLBACK')
    await log.append(commands('last'))
    const texts = (await readAll(log)).map(text)
    expect(texts.slice(-2)).toEqual(['one of many', 'last'])
    expect(texts.length).toBe(602)
  })

  test('the lock is not held while the turn goes on in which appends gather', async () => {
    const log = await open()
    using db = new DatabaseSync(path, { timeout: 10_000 })
    await settleTogether(log, 600, (n) => {
      const appended = log.append(commands(`after ${n}`))
      if (n === 300) {
        // A part was handed over, and more is to come. This throws if the writer waits for it.
        awaitLocked()
        db.exec('BEGIN IMMEDIATE; ROLLBACK')
      }
      return appended
    })
    expect((await readAll(log)).slice(-600).map(text)).toEqual(numbers(1, 600).map((n) => `after ${n}`))
  })

  describe('deleted or replaced', () => {
    test('a deleted log is EpochChanged to every call, and to every wait', async () => {
      const log = await open()
      await log.append(commands('1'))
      const follower = new Follower(log)
      await follower.take(1)
      const waiting = follower.failure()
      remove(path)
      const calls = [log.bounds(), log.append(commands('2')), readAll(log), log.prune(1)].map(failureOf)
      for (const failure of [await waiting, ...(await Promise.all(calls))]) {
        expect(failure).toBeInstanceOf(EpochChanged)
        expect(failure).toMatchObject({ expected: log.epoch, found: undefined })
      }
      expect(existsSync(path)).toBe(false)
    })

    test('nothing is written to a file that is no longer at its path', async () => {
      const log = await open()
      await log.append(commands('1'))
      const kept = join(folder, 'kept.log')
      for (const part of ['', '-wal']) linkSync(path + part, kept + part)
      remove(path)
      expect(await failureOf(log.append(commands('lost')))).toBeInstanceOf(EpochChanged)
      await log.close()
      renameSync(kept, path)
      renameSync(`${kept}-wal`, `${path}-wal`)
      expect((await readAll(await open())).map(text)).toEqual(['1'])
    })

    test('an append during which the file is deleted is AppendUncertain, not acknowledged', async () => {
      const log = await open()
      const payload = new Uint8Array(4 * 1024 * 1024)
      const entries = Array.from({ length: 24 }, () => ({ kind: 'command', payload }) as const)
      await log.append(commands('1'))
      const failure = failureOf(log.append(entries))
      // SQLite writes what its cache cannot hold before the commit. So the size of -wal shows that the
      // transaction is under way.
      while (statSync(`${path}-wal`).size < 8 * 1024 * 1024) await nextTurn()
      remove(path)
      expect(await failure).toBeInstanceOf(AppendUncertain)
    })

    test('a file that comes back is used again', async () => {
      const log = await open()
      await log.append(commands('1'))
      const copy = backUp(path)
      remove(path)
      expect(await failureOf(log.bounds())).toBeInstanceOf(EpochChanged)
      restore(path, copy)
      expect(await log.append(commands('2'))).toEqual({ first: 2, last: 2 })
      expect((await readAll(log)).map(text)).toEqual(['1', '2'])
    })

    test('another file in its place is LogUnusable', async () => {
      const log = await open()
      remove(path)
      writeFileSync(path, 'a few words')
      expect(await failureOf(log.bounds())).toBeInstanceOf(LogUnusable)
    })

    test('a handle that has not noticed that the -wal was taken away loses no entry when it closes last', async () => {
      const log = await open({ pollMs: 60_000 })
      const other = await open({ pollMs: 60_000 })
      await log.append(commands('1'))
      await other.append(commands('2'))
      unlinkSync(`${path}-wal`)
      await other.append(commands('3'))
      await other.close()
      await log.close()
      expect((await readAll(await open())).map(text)).toEqual(['1', '2', '3'])
    })

    // In some rounds a connection counts as many changes as the one before it did: that once hid the last entry.
    test('a -wal that was taken away costs no entry, and readers get what follows', async () => {
      for (let round = 0; round < 8; round++) {
        const log = await open()
        const other = await open()
        const follower = new Follower(other)
        await log.append(commands(...numbers(1, 100)))
        await follower.take(100)
        unlinkSync(`${path}-wal`)
        await log.append(commands('101'))
        await other.append(commands('102'))
        expect((await follower.take(2)).map(text)).toEqual(['101', '102'])
        await Promise.all([log.close(), other.close()])
        const again = await open()
        expect((await readAll(again)).map(text)).toEqual(numbers(1, 102))
        await again.close()
        remove(path)
      }
    })
  })

  describe('whose -wal or -shm was taken away', () => {
    test('waits for who has the -wal before it writes, also from a handle that had not written', async () => {
      const before = await open()
      await before.append(commands('1', '2'))
      await before.close()
      const log = await open({ pollMs: 250 })
      const other = await open({ pollMs: 250 })
      const madeMs = statSync(path).mtimeMs
      await log.append(commands('3'))
      // It is brought into the file after the writer's first look for what was pruned.
      await vi.waitUntil(() => statSync(path).mtimeMs !== madeMs)
      await log.append(commands('4'))
      unlinkSync(`${path}-wal`)
      await other.notices.announce('bob', new Uint8Array(1), 600_000)
      expect((await readAll(log)).map(text)).toEqual(numbers(1, 4))
      await Promise.all([log.close(), other.close()])
      const after = await open()
      expect((await readAll(after)).map(text)).toEqual(numbers(1, 4))
      expect((await after.notices.read()).map(({ member }) => member)).toEqual(['bob'])
    })

    test('waits to be opened, if what it opens with is in the -wal', async () => {
      const log = await open({ pollMs: 250 })
      const madeMs = statSync(path).mtimeMs
      await log.append(commands('1'))
      await vi.waitUntil(() => statSync(path).mtimeMs !== madeMs)
      await log.notices.announce('bob', new Uint8Array(1), 600_000)
      unlinkSync(`${path}-wal`)
      const others = await Promise.all([open(), open(), open()])
      await Promise.all([log.close(), ...others.map((other) => other.append(commands('x')))])
      const after = await open()
      expect((await readAll(after)).map(text)).toEqual(['1', 'x', 'x', 'x'])
      expect((await after.notices.read()).map(({ member }) => member)).toEqual(['bob'])
    })

    test('waits for a transaction that is under way, and may still go to the old -wal', async () => {
      const log = await open({ pollMs: 250 })
      const other = await open({ pollMs: 250 })
      const madeMs = statSync(path).mtimeMs
      await log.append(commands('1'))
      await vi.waitUntil(() => statSync(path).mtimeMs !== madeMs)
      using under = new DatabaseSync(path)
      // Of the pages that it changes, an announcement reads none.
      under.exec('BEGIN IMMEDIATE; INSERT INTO entries SELECT 2, ts, writer, 2, kind, payload FROM entries')
      unlinkSync(`${path}-wal`)
      const announcing = other.notices.announce('alice', new Uint8Array(1), 600_000)
      await vi.waitUntil(() => existsSync(`${path}-wal`))
      under.exec('COMMIT')
      under.close()
      await announcing
      await Promise.all([log.close(), other.close()])
      const after = await open()
      expect((await readAll(after)).map(text)).toEqual(['1', '1'])
      expect((await after.notices.read()).map(({ member }) => member)).toEqual(['alice'])
    })

    test('is let go of by who has the old -shm, before anything is written', async () => {
      const log = await open()
      const follower = new Follower(log)
      await log.append(commands('1'))
      await follower.take(1)
      await log.append(commands('2'))
      await follower.take(1)
      unlinkSync(`${path}-shm`)
      using child = new Child('process.ts', 'open', path, 'the other')
      await child.ready()
      child.go()
      expect(await child.line()).toBe(log.epoch)
      expect(await log.append(commands('3'))).toEqual({ first: 4, last: 4 })
      expect((await follower.take(2)).map(text)).toEqual(['the other', '3'])
      expect(await child.exitCode()).toBe(0)
      await log.close()
      expect((await readAll(await open())).map(text)).toEqual(['1', '2', 'the other', '3'])
    })

    test('is let go of by all handles of a process, also one that has not written yet', async () => {
      const log = await open({ pollMs: 250 })
      const other = await open({ pollMs: 250 })
      await log.append(commands('1'))
      unlinkSync(`${path}-shm`)
      using child = new Child('process.ts', 'open', path, 'the other')
      await child.ready()
      child.go()
      expect(await child.line()).toBe(log.epoch)
      expect(await other.append(commands('2'))).toEqual({ first: 3, last: 3 })
      expect(await child.exitCode()).toBe(0)
      expect((await readAll(log)).map(text)).toEqual(['1', 'the other', '2'])
      await Promise.all([log.close(), other.close()])
      expect((await readAll(await open())).map(text)).toEqual(['1', 'the other', '2'])
    })

    test('brings in what the old -wal held, if nobody has begun a new one', async () => {
      const log = await open()
      await log.append(commands('1'))
      await log.append(commands('2'))
      for (const part of ['-wal', '-shm']) unlinkSync(path + part)
      expect(await log.append(commands('3'))).toEqual({ first: 3, last: 3 })
      await log.close()
      expect((await readAll(await open())).map(text)).toEqual(['1', '2', '3'])
    })
  })

  test('in a folder that cannot be entered for a moment is not gone, and its lock is given back', async () => {
    const log = await open()
    const other = await open()
    await log.append(commands('1'))
    await other.append(commands('2'))
    const follower = new Follower(log)
    await follower.take(2)
    const aside = `${folder}-aside`
    // Whoever looks for the file is led in a circle.
    renameSync(folder, aside)
    symlinkSync(folder, folder)
    const failures = await Promise.all([
      failureOf(log.append(commands('lost'))),
      failureOf(log.bounds()),
      follower.failure(),
    ])
    unlinkSync(folder)
    renameSync(aside, folder)
    for (const failure of failures) {
      expect(failure).toBeInstanceOf(LogUnusable)
      expect((failure as Error).message).toContain('it cannot be looked at')
    }
    expect(await other.append(commands('3'))).toEqual({ first: 3, last: 3 })
    expect(await log.append(commands('4'))).toEqual({ first: 4, last: 4 })
    expect((await readAll(log)).map(text)).toEqual(numbers(1, 4))
  })

  describe('damaged', () => {
    /** Writes nonsense over the middle of the file, like a bad disk, and lets the log read it. */
    async function rot(log: Log): Promise<Log> {
      await log.append(commands(...numbers(1, 50_000)))
      await log.close()
      const { size } = statSync(path)
      const file = openSync(path, 'r+')
      for (let at = 0.3; at < 0.7; at += 0.01)
        writeSync(file, randomBytes(4096), 0, 4096, Math.floor((at * size) / 4096) * 4096)
      closeSync(file)
      return await open()
    }

    test('pages are LogDamaged to every reader of them, with the file and what to do', async () => {
      const log = await rot(await open())
      const failure = (await failureOf(readAll(log))) as Error
      expect(failure).toBeInstanceOf(LogDamaged)
      expect(failure).toBeInstanceOf(LogUnusable)
      expect(failure.message).toContain(path)
      expect(failure.message).toContain('malformed; restore a backup, and remove')
      expect(await new Follower(log).failure()).toBeInstanceOf(LogDamaged)
    })

    test('nothing is appended to them, even before a reader finds them', async () => {
      const log = await rot(await open())
      const calls = [() => log.append(commands('x')), () => log.bounds(), () => log.prune(1)]
      for (const call of [...calls, ...calls]) expect(await failureOf(call())).toBeInstanceOf(LogDamaged)
    })

    test('by the -wal of the log that was there before: it is named as the likely cause', async () => {
      const crashed = join(folder, 'crashed.log')
      const log = await open()
      const large = { kind: 'command', payload: new Uint8Array(50_000) } as const
      await log.append(Array.from({ length: 60 }, () => large))
      const copy = backUp(path)
      for (let n = 0; n < 5; n++) await log.append(Array.from({ length: 60 }, () => large))
      for (const part of ['-wal', '-shm']) copyFileSync(path + part, crashed + part)
      renameSync(copy, crashed)
      const restored = await open({ path: crashed })
      for (const call of [() => readAll(restored), () => restored.append(commands('x'))]) {
        const failure = (await failureOf(call())) as Error
        expect(failure).toBeInstanceOf(LogDamaged)
        expect(failure.message).toContain(`remove ${crashed}-wal and ${crashed}-shm`)
      }
    })

    test('a missing row is LogTruncated, never a gap', async () => {
      const log = await open()
      await log.append(commands(...numbers(1, 100)))
      const follower = new Follower(log)
      await follower.take(100)
      alter('DELETE FROM entries WHERE idx BETWEEN 40 AND 49')
      expect(await failureOf(readAll(log))).toMatchObject({ name: 'LogTruncated', wanted: 40, first: 50 })
      expect(await failureOf(readAll(log, { index: 44 }))).toBeInstanceOf(LogTruncated)
      expect((await readAll(log, { index: 49 })).length).toBe(51)
    })

    test('entries of any size after a missing row are read', async () => {
      const log = await open()
      const payload = new Uint8Array(BATCH_BYTES_MAX + 1)
      await log.append(Array.from({ length: 3 }, () => ({ kind: 'command', payload }) as const))
      alter('DELETE FROM entries WHERE idx = 1')
      expect(await failureOf(readAll(log))).toMatchObject({ name: 'LogTruncated', wanted: 1, first: 2 })
      expect((await readAll(log, { index: 1 })).length).toBe(2)
    })
  })

  describe('pruned', () => {
    test('rows except the newest are deleted in the background; appends and readers go on', async () => {
      const log = await open()
      const other = await open()
      for (let n = 0; n < 20; n++) await log.append(commands(...numbers(1, 10_000)))
      const follower = new Follower(other, { index: 200_000 })
      await log.prune(200_000)
      expect(await other.bounds()).toMatchObject({ first: 200_001, newest: { index: 200_000 } })
      await other.append(commands('1'))
      await log.append(commands('2'))
      expect((await follower.take(2)).map(text)).toEqual(['1', '2'])
      await expect.poll(rows, { timeout: 20_000, interval: 20 }).toBeLessThanOrEqual(3)
      const size = statSync(path).size
      for (let n = 0; n < 10; n++) await log.append(commands(...numbers(1, 10_000)))
      expect(statSync(path).size).toBeLessThanOrEqual(size)
    })

    /** Entries of `bytes` bytes in all. */
    async function fill(log: Log, bytes: number): Promise<void> {
      const payload = new Uint8Array(50_000)
      const entries = Array.from({ length: 20 }, () => ({ kind: 'command', payload }) as const)
      for (let left = bytes; left > 0; left -= 1_000_000) await log.append(entries)
    }

    test('the file gives back space except a reserve for later entries; appends and readers go on', async () => {
      const log = await open()
      const follower = new Follower(await open())
      await fill(log, 40_000_000)
      await follower.take(800)
      expect(statSync(path).size).toBeGreaterThan(35_000_000)
      await log.prune(800)
      await log.append(commands('1'))
      await expect.poll(() => statSync(path).size, { timeout: 20_000, interval: 20 }).toBeLessThan(6_000_000)
      await log.append(commands('2'))
      expect((await follower.take(2)).map(text)).toEqual(['1', '2'])
      // The reserved space is used.
      await fill(log, 2_000_000)
      expect(statSync(path).size).toBeLessThan(6_000_000)
    })

    test('a file of an earlier version is pruned as well, and keeps its size', async () => {
      const log = await open()
      await fill(log, 10_000_000)
      await log.close()
      alter('PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM; PRAGMA journal_mode = WAL')
      const again = await open()
      await again.prune(200)
      await expect.poll(rows, { timeout: 20_000, interval: 20 }).toBe(1)
      await again.append(commands('x'))
      expect(statSync(path).size).toBeGreaterThan(9_000_000)
    })

    test('-wal is small again soon after a reader of an old state has left', async () => {
      const log = await open()
      await fill(log, 1_000_000)
      {
        using reader = new DatabaseSync(path, { readOnly: true })
        reader.exec('BEGIN; SELECT count(*) FROM entries')
        await fill(log, 30_000_000)
        expect(statSync(`${path}-wal`).size).toBeGreaterThan(25_000_000)
      }
      await fill(log, 2_000_000)
      expect(statSync(`${path}-wal`).size).toBeLessThan(10_000_000)
    })

    test('rows that a killed process had not deleted are deleted by the next writer', async () => {
      const log = await open()
      await log.append(commands(...numbers(1, 1000)))
      await log.close()
      alter('UPDATE state SET first = 901')
      const next = await open()
      expect((await readAll(next, { index: 900 })).length).toBe(100)
      expect(rows()).toBe(1000)
      await next.append(commands('1001'))
      await expect.poll(rows, { timeout: 20_000, interval: 20 }).toBe(101)
    })
  })

  test('an append aborted after the hand-over is AppendUncertain, one before it is not written', async () => {
    const log = await open()
    const reason = new Error('changed my mind')
    const abort = new AbortController()
    const first = failureOf(log.append(commands('first'), { signal: abort.signal }))
    const second = failureOf(log.append(commands('second'), { signal: abort.signal }))
    abort.abort(reason)
    expect(await first).toBeInstanceOf(AppendUncertain)
    expect(await second).toBe(reason)
    await log.append(commands('third'))
    expect((await readAll(log)).map(text)).toEqual(['first', 'third'])
  })

  describe('served by a thread', () => {
    /** Whoever makes the next call of a log, by which its thread is known. */
    async function threadOf(call: () => Promise<unknown>): Promise<Worker> {
      const post = vi.spyOn(Worker.prototype, 'postMessage')
      await call()
      const thread = post.mock.contexts.at(-1) as Worker
      post.mockRestore()
      return thread
    }

    test('that dies fails who reads, and the next call has another', async () => {
      const log = await open()
      await log.append(commands('1'))
      const thread = await threadOf(() => log.bounds())
      const waiting = new Follower(log).failure()
      await thread.terminate()
      const failure = (await waiting) as Error
      expect(failure).toBeInstanceOf(LogUnusable)
      expect(failure.message).toContain('the thread that serves it has ended; the next call starts another')
      expect((await readAll(log)).map(text)).toEqual(['1'])
      expect(await log.append(commands('2'))).toEqual({ first: 2, last: 2 })
    })

    test('serves a stream between transactions that are larger than its batches', async () => {
      const log = await open()
      const ending = new AbortController()
      let seen = 0
      const following = (async () => {
        for await (const { entries } of log.follow({ index: 0 }, { signal: ending.signal }))
          seen += entries.length
      })()
      const entries = commands(...numbers(1, 2_500))
      const behind: number[] = []
      for (let round = 0; round < 60; round++) {
        const { last } = await log.append(entries)
        behind.push(last - seen)
      }
      ending.abort()
      await following
      // Some transactions. Without turns it is behind by half of all entries.
      expect(behind.at(-1)).toBeLessThan(40_000)
    })

    test('takes other writes between appends, however much is read meanwhile', async () => {
      const log = await open()
      const ending = new AbortController()
      const repeat = async (call: () => Promise<unknown>) => {
        while (!ending.signal.aborted) await call()
      }
      let appends = 0
      const busy = [
        repeat(async () => {
          await log.append(commands('x'))
          appends++
        }),
        ...Array.from({ length: 64 }, () => repeat(() => log.bounds())),
      ]
      const meanwhile: number[] = []
      for (let round = 0; round < 60; round++) {
        const before = appends
        await log.notices.announce('alice', new Uint8Array(1), 10_000)
        meanwhile.push(appends - before)
      }
      ending.abort()
      await Promise.all(busy)
      expect(Math.max(...meanwhile)).toBeLessThan(10)
    })

    test('begins a read whose request comes while a transaction gathers, even if that fails', {
      timeout: 20_000,
    }, async () => {
      const log = await open()
      await log.append(commands('first'))
      // It stands for whatever ends a transaction after its entries have gathered, such as a full disk.
      alter(`CREATE TRIGGER fails BEFORE INSERT ON entries WHEN length(new.payload) = 7
          BEGIN SELECT raise(ABORT, 'no'); END`)
      for (let round = 0; round < 5; round++) {
        const board = log.notices.watch()[Symbol.asyncIterator]()
        await board.next()
        await log.notices.announce('alice', new Uint8Array(1), 10_000)
        await board.next()
        await log.notices.announce('alice', new Uint8Array(1), 10_000)
        let reading: Promise<unknown> | undefined
        const before = log.append(commands('before'))
        const appends = numbers(1, 300).map(async (n) => {
          await log.append(commands('many'))
          if (n === '281') {
            void board.next()
            reading = readAll(log)
          }
          await log.append(commands(n === '300' ? 'failing' : 'x')).catch(() => {})
        })
        await Promise.all([before, ...appends])
        // A hang: nothing else is written, which would wake it.
        expect(await reading).not.toEqual([])
        await board.return?.()
      }
    })

    test('that dies leaves an append uncertain, and the next has another', async () => {
      const log = await open()
      const thread = await threadOf(() => log.bounds())
      using child = new Child('process.ts', 'hold-lock', path)
      await child.ready()
      const failure = failureOf(log.append(commands('1')))
      await thread.terminate()
      expect(await failure).toBeInstanceOf(AppendUncertain)
      child.go()
      await child.exitCode()
      expect(await log.append(commands('2'))).toEqual({ first: 1, last: 1 })
    })
  })
})
