import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { LogBackend } from '../../src/log/log.ts'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { createReplica } from '../../src/replica/start.ts'
import { altered, alteredLog, next, TIMES } from './cluster.ts'
import { Journal } from './journal.ts'

let folder: string
let path: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'anchorage-trouble-'))
  path = join(folder, 'group.log')
})
afterEach(() => rmSync(folder, { recursive: true }))

const start = (log: LogBackend = sqliteLog({ path, pollMs: 20 })) =>
  createReplica<number>({ group: 'journals', machine: new Journal(), log, ...TIMES, leaseMs: 250 })

const ENTRY = new Uint8Array(2000)

/** A log of many pages. */
async function write(): Promise<void> {
  const log = await sqliteLog({ path }).open({ group: 'journals', signature: 'journal/1', author: 'test' })
  await log.append(Array.from({ length: 1000 }, () => ({ kind: 'command', payload: ENTRY }) as const))
  await log.close()
}

/** Overwrites all but the pages that tell what the file is. */
function ruin(): void {
  const file = openSync(path, 'r+')
  for (let at = 32 * 1024; at < statSync(path).size; at += 4096)
    writeSync(file, new Uint8Array(4096).fill(7), 0, 4096, at)
  closeSync(file)
}

test('on a damaged log nobody waits: whatever is asked of the replica is told the cause', async () => {
  await write()
  ruin()
  await using replica = await start()
  const told = expect.objectContaining({ name: 'LogDamaged', message: expect.stringContaining(path) })
  await expect(replica.inSync()).rejects.toEqual(told)
  expect(replica.state).toBe('halted')
  for (const call of [
    () => replica.barrier(),
    () => replica.submit(ENTRY),
    () => replica.reached({ ...replica.position, index: 5 }),
    () => replica.mark(),
  ])
    await expect(call()).rejects.toEqual(told)
})

test.each<[how: string, name: string, harm: () => void]>([
  [
    'deleted',
    'EpochChanged',
    () => ['', '-wal', '-shm'].forEach((part) => void rmSync(path + part, { force: true })),
  ],
  [
    'replaced by nonsense',
    'LogDamaged',
    () => {
      rmSync(`${path}-wal`, { force: true })
      const file = openSync(path, 'w')
      writeSync(file, 'nonsense '.repeat(10_000))
      closeSync(file)
    },
  ],
])('a log that is %s under a running replica halts it, and is told of once', async (_, name, harm) => {
  let failures = 0
  const log = alteredLog(sqliteLog({ path, pollMs: 20 }), ({ notices }) => ({
    notices: altered(notices, {
      announce: (...args) =>
        notices.announce(...args).catch((error: Error) => {
          failures++
          throw error
        }),
    }),
  }))
  await using replica = await start(log)
  await replica.inSync()
  const problems: Error[] = []
  replica.addEventListener('problem', ({ detail }) => problems.push(detail))
  const halted = next(replica, 'state')
  harm()
  expect(await halted).toMatchObject({ state: 'halted', reason: { name } })
  await expect(replica.inSync()).rejects.toMatchObject({ name })
  // It goes on trying to say so.
  while (failures < 8) await new Promise((resolve) => setTimeout(resolve, 10))
  expect(problems.length).toBeLessThanOrEqual(2)
  const before = problems.length
  await replica.stop()
  expect(problems.length).toBe(before)
})
