import { BATCH_BYTES_MAX, BATCH_ENTRIES_MAX } from '../limits.ts'
import type { LogBatch, LogEntry, LogTail } from '../log.ts'

/** Entries in bounded batches. There may be more of them than were counted when `newest` was read. */
export function* batchesOf(entries: readonly LogEntry[], newest: LogTail): Generator<LogBatch> {
  const last = entries.at(-1)
  if (last === undefined) return
  const tail = last.index > newest.index ? { index: last.index, timestampMs: last.timestampMs } : newest
  for (let begin = 0, end = 0; begin < entries.length; begin = end) {
    const endMax = Math.min(begin + BATCH_ENTRIES_MAX, entries.length)
    for (let bytes = 0; end < endMax; end++) {
      bytes += entries[end]!.payload.byteLength
      if (bytes > BATCH_BYTES_MAX && end > begin) break
    }
    yield { entries: entries.slice(begin, end), newest: tail }
  }
}
