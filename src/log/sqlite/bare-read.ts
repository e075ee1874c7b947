import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'

const BATCH_ENTRIES = 1_000
const COMMAND = 0
/** Time between two look-ups of the oldest row, in milliseconds. Each is one look-up by the primary key. */
const POLL_INTERVAL_MS = 50

/** Read a file's commands with `node:sqlite` on this thread, as fast as a loop can. */
export function eachCommandOfFile(path: string, onCommand: (bytes: Uint8Array, start: number) => void): void {
  using db = new DatabaseSync(path, { readOnly: true })
  const next = db.prepare(
    `SELECT idx, kind, payload FROM entries WHERE idx > ? ORDER BY idx LIMIT ${BATCH_ENTRIES}`,
  )
  next.setReturnArrays(true)
  for (let after = 0; ; ) {
    const rows = next.all(after) as unknown as [number, number, Uint8Array][]
    if (rows.length === 0) break
    for (const [, kind, payload] of rows) if (kind === COMMAND) onCommand(payload, 0)
    after = rows.at(-1)![0]
  }
}

/** Resolves when no row before `first` is left. Pruned rows are deleted in the background. */
export async function rowsDeleted(path: string, first: number, signal: AbortSignal): Promise<void> {
  using db = new DatabaseSync(path, { readOnly: true })
  const oldest = db.prepare('SELECT min(idx) AS idx FROM entries')
  while ((oldest.get()!.idx as number) < first) await delay(POLL_INTERVAL_MS, undefined, { signal })
}
