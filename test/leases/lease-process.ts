/**
 * One process with a lease table of its own, `node lease-process.ts <file>`, forked by a test. It begins with what the
 * file holds, does what it is told, and says what came of it. It ends with the test.
 */
import { closeSync, existsSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { type LeaseSnapshot, LeaseTable } from '../../src/leases/lease-table.ts'
import { Sweeper } from '../../src/leases/sweeper.ts'
import { systemClock } from '../../src/time/clock.ts'

export interface LeaseOrder {
  /** Keys to register, with their TTLs; null for a life without end. */
  readonly register?: readonly (readonly [key: string, ttlMs: number | null])[]
  /** Write the table to the file. */
  readonly save?: true
}

export type LeaseNews =
  | { readonly type: 'started' | 'done'; readonly snapshot: LeaseSnapshot<string> }
  | { readonly type: 'expired'; readonly key: string }

const [, , path = ''] = process.argv
const table = new LeaseTable<string>({ clock: systemClock, isKey: (key) => typeof key === 'string' })

/** Whoever reads the file finds the old snapshot or the new one, whole. */
function save(snapshot: LeaseSnapshot<string>): void {
  const file = openSync(`${path}.new`, 'w')
  writeSync(file, JSON.stringify(snapshot))
  fsyncSync(file)
  closeSync(file)
  renameSync(`${path}.new`, path)
}

function say(news: LeaseNews): void {
  process.send!(news)
}

process.on('message', (order: LeaseOrder) => {
  for (const [key, ttlMs] of order.register ?? []) table.register(key, ttlMs ?? Number.POSITIVE_INFINITY)
  const snapshot = table.toSnapshot()
  if (order.save) save(snapshot)
  say({ type: 'done', snapshot })
})

if (existsSync(path)) table.reload(JSON.parse(readFileSync(path, 'utf8')))
say({ type: 'started', snapshot: table.toSnapshot() })
new Sweeper({ table, clock: systemClock, onExpired: (key) => say({ type: 'expired', key }) })
