import { once } from 'node:events'
import { type CatchUpReport, createReplica, type Replica, sqliteLog } from '../../../src/index.ts'
import { type SqliteMachine, sqliteMachine } from '../../../src/machines/sqlite/sqlite-machine.ts'
import { serveCalls } from '../child.ts'
import { peakBytes, resetPeak } from '../memory/resident.ts'

/** A process with a replica of a table, whose rows are made from numbers: the log of a large state is small. */

export interface Start {
  readonly group: string
  readonly logPath: string
  readonly path: string
  readonly lead: boolean
  readonly cacheBytes: number
}

/** The bytes of a row's value. */
export const ROW_BYTES = 1_000
/** Rows of one command. */
const ROWS = 250
/** An odd constant that spreads neighbouring numbers (Knuth's multiplicative hashing). */
const SPREAD = 0x9e3779b1
/** The TTL of offers, in milliseconds: a joiner of a large state takes its time between two requests. */
const TTL_MS = 60_000

let machine: SqliteMachine<void> | undefined
let replica: Replica<unknown> | undefined
let report: CatchUpReport | undefined

const methods = {
  async start({ group, logPath, path, lead, cacheBytes }: Start): Promise<void> {
    resetPeak()
    machine = sqliteMachine({
      path,
      cacheBytes,
      schema: 'CREATE TABLE row (id INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT',
      apply(db, command) {
        const first = Buffer.from(command).readDoubleBE()
        for (let id = first; id < first + ROWS; id++)
          db.run('INSERT INTO row VALUES (?, ?)', id, contentOf(id))
      },
    })
    const options = { group, machine, log: sqliteLog({ path: logPath }), lead, ttlMs: TTL_MS, volatile: true }
    replica = await createReplica<unknown>({ ...options, snapshotAfter: 0 })
    void once(replica, 'caught-up').then(([event]) => {
      report = (event as CustomEvent<CatchUpReport>).detail
    })
  },
  /** Whether the replica is in sync within some milliseconds. */
  async isInSync(waitMs: number): Promise<boolean> {
    return await replica!.inSync({ signal: AbortSignal.timeout(waitMs) }).then(
      () => true,
      (error: Error) => {
        if (error.name === 'NotInTime') return false
        throw error
      },
    )
  },
  /** Write rows, the numbers of which begin with `first`, and at least `count` of them. Returns how many. */
  async fill(first: number, count: number): Promise<number> {
    const commands: Promise<unknown>[] = []
    let at = first
    for (; at < first + count; at += ROWS) {
      const command = Buffer.alloc(8)
      command.writeDoubleBE(at)
      commands.push(machine!.submit(command))
    }
    await Promise.all(commands)
    return at - first
  },
  async prune(): Promise<void> {
    await replica!.prune({ keepEntries: 0 })
  },
  /** Checks the first, the last and a middle row. */
  check(rows: number): void {
    for (const id of [0, Math.floor(rows / 2), rows - 1]) {
      const row = machine!.get<{ value: Uint8Array }>('SELECT value FROM row WHERE id = ?', id)
      if (row === undefined || !contentOf(id).equals(row.value)) throw new Error(`row ${id} is another one`)
    }
    if (machine!.get('SELECT 1 FROM row WHERE id >= ?', rows) !== undefined)
      throw new Error('there are more rows')
  },
  report: (): CatchUpReport | undefined => report,
  resetPeak,
  peakBytes,
  crash(): void {
    process.kill(process.pid, 'SIGKILL')
  },
}

/** Bytes that compress badly, the same for the same number. */
function contentOf(id: number): Buffer {
  const value = Buffer.allocUnsafe(ROW_BYTES)
  let state = Math.imul(id + 1, SPREAD)
  for (let at = 0; at < ROW_BYTES; at += 4) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    value.writeInt32LE(state, at)
  }
  return value
}

serveCalls(methods, async () => {
  await replica?.stop()
  machine?.close()
})

export type ReplicaMethods = typeof methods
