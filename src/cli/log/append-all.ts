import type { Log } from '../../log/log.ts'

/** The most entries of one append. */
const APPEND_ENTRIES_MAX = 1_000
/** The most appends under way: the next ones are encoded while one is written. */
const APPENDS_MAX = 4

/**
 * Append commands in their order. `onAppended` is called with how many more are durable. When an append
 * fails, the rest is not begun, and the appends under way are awaited.
 */
export async function appendAll(
  log: Log,
  batches: AsyncIterable<readonly Uint8Array[]> | Iterable<readonly Uint8Array[]>,
  onAppended: (entries: number) => void,
): Promise<void> {
  const underWay = new Set<Promise<void>>()
  const begin = (payloads: readonly Uint8Array[]) => {
    const append = log.append(payloads.map((payload) => ({ kind: 'command', payload }))).then(() => {
      underWay.delete(append)
      onAppended(payloads.length)
    })
    // A failure stays in the set, for whoever looks next.
    append.catch(() => {})
    underWay.add(append)
  }
  try {
    for await (const batch of batches) {
      for (let at = 0; at < batch.length; at += APPEND_ENTRIES_MAX) {
        if (underWay.size >= APPENDS_MAX) await Promise.race(underWay)
        begin(batch.slice(at, at + APPEND_ENTRIES_MAX))
      }
    }
    await Promise.all(underWay)
  } finally {
    await Promise.allSettled(underWay)
  }
}
