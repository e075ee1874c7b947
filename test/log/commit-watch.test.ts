import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { CommitWatch } from '../../src/log/sqlite/commit-watch.ts'

/** Turns of the event loop in which the system tells of a write. */
const TURNS_MAX = 100_000
/** Far more than it goes on looking after the last news. */
const LONG_MS = 1_000

let dir: string
let wal: string
let watch: CommitWatch
/** When it looked, in milliseconds of the virtual clock. */
let lookedAt: number[]
/** From when on there is news that it has not got. */
let newsAt: number[]

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'anchorage-commit-watch-'))
  wal = join(dir, 'log.db-wal')
  await writeFile(wal, '')
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  lookedAt = []
  newsAt = []
  watch = new CommitWatch(wal, () => {
    lookedAt.push(performance.now())
    const found = newsAt.findIndex((at) => at <= performance.now())
    if (found >= 0) newsAt.splice(found, 1)
    return found >= 0
  })
})

afterEach(async () => {
  watch.close()
  vi.useRealTimers()
  await rm(dir, { recursive: true })
})

/** Write to the file, and wait until the watch knows. */
async function write(): Promise<void> {
  await appendFile(wal, 'x')
  for (let turn = 0; turn < TURNS_MAX && vi.getTimerCount() === 0; turn++)
    await new Promise((resolve) => setImmediate(resolve))
  expect(vi.getTimerCount()).toBe(1)
}

test('one commit costs six looks, and the next one wakes the watch again', async () => {
  for (let commit = 0; commit < 3; commit++) {
    lookedAt = []
    newsAt = [performance.now()]
    await write()
    vi.advanceTimersByTime(LONG_MS)
    expect(newsAt).toEqual([])
    expect(lookedAt.length).toBe(6)
    expect(vi.getTimerCount()).toBe(0)
  }
})

test('a commit that takes 40 ms from its write on is seen within a millisecond', async () => {
  const visibleAt = performance.now() + 40
  newsAt = [visibleAt]
  await write()
  vi.advanceTimersByTime(41)
  expect(newsAt).toEqual([])
  expect(lookedAt.at(-1)! - visibleAt).toBeLessThanOrEqual(1)
})

test('while news go on, each is seen within a millisecond', async () => {
  const fromMs = performance.now()
  newsAt = Array.from({ length: 50 }, (_, n) => fromMs + 2 * n)
  await write()
  vi.advanceTimersByTime(101)
  expect(newsAt).toEqual([])
})

test.each([3, 5, 20, 60])(
  'what was written while the watch was closed is seen, if it takes %i ms',
  async (ms) => {
    newsAt = [performance.now(), performance.now() + 1 + ms]
    await write()
    await appendFile(wal, 'the second commit, of which the closed watch tells nothing')
    vi.advanceTimersByTime(1 + 4 * ms + 4)
    expect(newsAt).toEqual([])
  },
)
