import { type ChildProcess, fork } from 'node:child_process'
import { on, once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LeaseNews, LeaseOrder } from './lease-process.ts'

type Leases = Map<string, number | null>

/** A process with a lease table; killed at the end of the scope that it was started in. */
class LeaseProcess implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #news: AsyncIterator<[LeaseNews]>
  readonly #exit: Promise<unknown[]>

  constructor(path: string) {
    const script = fileURLToPath(new URL('lease-process.ts', import.meta.url))
    this.#process = fork(script, [path], { execPath: process.execPath, execArgv: [] })
    this.#exit = once(this.#process, 'exit')
    this.#news = on(this.#process, 'message', { close: ['exit'] }) as AsyncIterator<[LeaseNews]>
  }

  /** What it holds when it begins, in wall-clock time. */
  started(): Promise<Leases> {
    return this.#leases('started')
  }

  /** What it holds when it has done as it was told. */
  do(order: LeaseOrder): Promise<Leases> {
    this.#process.send(order)
    return this.#leases('done')
  }

  async expired(): Promise<string> {
    const news = await this.#next()
    if (news.type !== 'expired') throw new Error(`the process said ${news.type} instead of expired`)
    return news.key
  }

  /** Without a warning, and until it is gone. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    await this.#exit
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill()
  }

  async #leases(type: 'started' | 'done'): Promise<Leases> {
    const news = await this.#next()
    if (news.type !== type) throw new Error(`the process said ${news.type} instead of ${type}`)
    return new Map(news.snapshot.leases)
  }

  async #next(): Promise<LeaseNews> {
    const { value, done } = await this.#news.next()
    if (done) throw new Error('the process ended')
    return value[0]
  }
}

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'anchorage-leases-'))
  path = join(folder, 'leases.json')
})

afterEach(() => rmSync(folder, { recursive: true }))

/** No deadline is later than it was, and none earlier by more than what rounding takes. */
function expectKept(leases: Leases, before: Leases): void {
  expect([...leases.keys()]).toEqual([...before.keys()])
  for (const [key, deadlineMs] of leases) {
    const beforeMs = before.get(key)!
    if (beforeMs === null) {
      expect(deadlineMs).toBeNull()
    } else {
      expect(deadlineMs).toBeLessThanOrEqual(beforeMs)
      expect(deadlineMs).toBeGreaterThanOrEqual(beforeMs - 2)
    }
  }
}

test('a table keeps its deadlines through one kill after the other, and none gets later', async () => {
  const register: [string, number | null][] = Array.from({ length: 100 }, (_, n) => [
    `k${n}`,
    60_000 + n * 1e6,
  ])
  let before: Leases
  {
    await using first = new LeaseProcess(path)
    expect([...(await first.started())]).toEqual([])
    before = await first.do({ register: [...register, ['forever', null]], save: true })
    expect(before.size).toBe(101)
    await first.kill()
  }
  for (let life = 0; life < 3; life++) {
    await using next = new LeaseProcess(path)
    expectKept(await next.started(), before)
    const saved = await next.do({ save: true })
    expectKept(saved, before)
    before = saved
    await next.kill()
  }
})

test('what expired while nobody was there to see it is gone, and the rest is not', async () => {
  let before: Leases
  {
    await using first = new LeaseProcess(path)
    await first.started()
    const register = [['brief', 300] as const, ['long', 60_000] as const]
    before = await first.do({ register, save: true })
    expect([...before.keys()]).toEqual(['brief', 'long'])
    // The file does not hear of it.
    expect(await first.expired()).toBe('brief')
    await first.kill()
  }
  expect(JSON.parse(readFileSync(path, 'utf8')).leases).toEqual([...before])
  before.delete('brief')
  await using second = new LeaseProcess(path)
  expectKept(await second.started(), before)
})

test('what was not saved before the kill is forgotten', async () => {
  await using first = new LeaseProcess(path)
  await first.started()
  const saved = await first.do({ register: [['saved', 60_000]], save: true })
  await first.do({ register: [['saved', 90_000]] })
  await first.do({ register: [['lost', 60_000]] })
  await first.kill()
  await using second = new LeaseProcess(path)
  expectKept(await second.started(), saved)
})
