import { describe, expect, test } from 'vitest'
import { LogDamaged, LogMissing, LogTruncated, LogUnavailable, LogUnusable } from '../../src/log/errors.ts'
import {
  type Committed,
  type LogBounds,
  type LogConnection,
  type LogEntry,
  type LogRecord,
  type LogStorage,
  type LogStore,
  storedLog,
  type UnplacedEntry,
} from '../../src/log/index.ts'
import { conformance } from './conformance.ts'
import { commands, failureOf, init, readAll, text } from './entries.ts'

/** One life of a log, in memory. */
class Life {
  readonly epoch: string
  readonly head: string
  entries: LogEntry[] = []
  first = 1
  readonly records = new Map<string, { readonly text: string; readonly atMs: number }>()

  constructor(epoch: string, head: string) {
    this.epoch = epoch
    this.head = head
  }

  copy(): Life {
    const copy = new Life(this.epoch, this.head)
    copy.entries = [...this.entries]
    copy.first = this.first
    for (const [name, record] of this.records) copy.records.set(name, record)
    return copy
  }
}

/** It tells nobody of news: readers poll. */
class Memory implements LogStorage {
  readonly place = 'a storage in memory'
  life: Life | undefined
  closed = 0
  isCut = false
  readonly listeners = new Set<(connected: boolean) => void>()

  cut(isCut: boolean): void {
    this.isCut = isCut
    for (const listener of this.listeners) listener(!isCut)
  }

  assertReached(): void {
    if (this.isCut) throw new LogUnavailable('it was cut off')
  }

  async find(): Promise<LogStore | undefined> {
    this.assertReached()
    return this.life && new MemoryStore(this, this.life)
  }

  async make(epoch: string, head: string): Promise<void> {
    this.life ??= new Life(epoch, head)
  }
}

class MemoryStore implements LogStore {
  readonly epoch: string
  readonly head: string
  readonly #memory: Memory

  constructor(memory: Memory, { epoch, head }: Life) {
    this.#memory = memory
    this.epoch = epoch
    this.head = head
  }

  get connection(): LogConnection {
    const memory = this.#memory
    return {
      get connected() {
        return !memory.isCut
      },
      onChange(listener) {
        memory.listeners.add(listener)
        return () => memory.listeners.delete(listener)
      },
    }
  }

  get #life(): Life {
    this.#memory.assertReached()
    return this.#memory.life!
  }

  async bounds(): Promise<LogBounds | undefined> {
    const { life } = this.#memory
    this.#memory.assertReached()
    if (life === undefined) return undefined
    const { index = 0, timestampMs = 0 } = life.entries.at(-1) ?? {}
    return { epoch: life.epoch, first: life.first, newest: { index, timestampMs } }
  }

  async read(from: number): Promise<LogEntry[]> {
    return this.#life.entries.filter(({ index }) => index >= from).slice(0, 50)
  }

  async append(entries: readonly UnplacedEntry[]): Promise<Committed> {
    const first = this.#life.entries.length + 1
    const timestampMs = Date.now()
    this.#life.entries.push(...entries.map((entry, n) => ({ ...entry, index: first + n, timestampMs })))
    return { first }
  }

  async prune(upTo: number): Promise<void> {
    this.#life.first = upTo + 1
  }

  async put(name: string, text: string): Promise<void> {
    this.#life.records.set(name, { text, atMs: Date.now() })
  }

  async remove(name: string): Promise<void> {
    this.#life.records.delete(name)
  }

  async records(): Promise<LogRecord[]> {
    const nowMs = Date.now()
    return Array.from(this.#life.records, ([name, { text, atMs }]) => ({ name, text, ageMs: nowMs - atMs }))
  }

  async close(): Promise<void> {
    this.#memory.closed++
  }
}

conformance('storedLog', {
  async make() {
    const memory = new Memory()
    const backend = () => storedLog(memory, { pollMs: 5, maxEntryBytes: 100_000 })
    return {
      backend: backend(),
      reopen: backend,
      async recreate() {
        memory.life = undefined
      },
      async save() {
        const copy = memory.life!.copy()
        return async () => {
          memory.life = copy
        }
      },
      async cutOff() {
        memory.cut(true)
        return async () => memory.cut(false)
      },
      async dispose() {},
    }
  },
})

describe('storedLog', () => {
  test('makes a log only for who may, and names the place', async () => {
    const backend = storedLog(new Memory())
    const missing = await failureOf(backend.open(init({ create: false })))
    expect(missing).toBeInstanceOf(LogMissing)
    expect(missing).toMatchObject({ place: 'a storage in memory' })
    const lazy = Object.assign(new Memory(), { make: async () => {} })
    await expect(storedLog(lazy).open(init())).rejects.toThrow(LogUnusable)
  })

  test('closes the store of each handle, and of one that was refused', async () => {
    const memory = new Memory()
    const log = await storedLog(memory).open(init())
    await expect(storedLog(memory).open(init({ group: 'another' }))).rejects.toThrow('a storage in memory')
    expect(memory.closed).toBe(1)
    await Promise.all([log.close(), log.close()])
    expect(memory.closed).toBe(2)
  })

  test('tells an entry that is missing in the middle, and goes on with none', async () => {
    const memory = new Memory()
    const log = await storedLog(memory, { pollMs: 5 }).open(init())
    for (const each of ['1', '2', '3']) await log.append(commands(each))
    memory.life!.entries.splice(1, 1)
    await expect(readAll(log, { index: 1 })).rejects.toThrow(LogTruncated)
    await log.close()
  })

  test('passes on what the store says, and takes the next append', async () => {
    const memory = new Memory()
    const log = await storedLog(memory).open(init())
    const store = (await memory.find())!
    const full = storedLog({
      place: memory.place,
      find: async () =>
        Object.assign(store, { append: async () => Promise.reject(new Error('the disk is full')) }),
      make: async () => {},
    })
    const failing = await full.open(init({ author: 'bob' }))
    await expect(failing.append(commands('lost'))).rejects.toThrow('the disk is full')
    Object.assign(store, { append: async () => Promise.reject(new LogDamaged('it contradicts itself')) })
    await expect(failing.append(commands('lost'))).rejects.toThrow(LogDamaged)
    await log.append(commands('kept'))
    expect((await readAll(failing)).map(text)).toEqual(['kept'])
    await Promise.all([failing.close(), log.close()])
  })

  test('refuses what is no storage, and options out of bounds', () => {
    expect(() => storedLog({} as LogStorage)).toThrow('storage.find')
    expect(() => storedLog(new Memory(), { pollMs: 0 })).toThrow('pollMs')
    expect(() => storedLog(new Memory(), { maxEntryBytes: 1 })).toThrow('maxEntryBytes')
  })
})
