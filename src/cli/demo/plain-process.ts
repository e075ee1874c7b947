/**
 * What a replay costs without us: the log's commands, read with `node:sqlite` on the main thread, decoded by hand and
 * set in a tree of the same make, as fast as a loop can. Run with the log's path; sends back what it measured.
 */
import { DatabaseSync } from 'node:sqlite'
import SortedBTree from 'sorted-btree'
import { byteStringOf } from '../../machine/byte-string.ts'

const BATCH_ENTRIES = 1_000
const COMMAND = 0
const SET = 1

export interface PlainReplay {
  readonly entries: number
  readonly items: number
  readonly tookMs: number
}

const beganMs = performance.now()
using db = new DatabaseSync(process.argv[2]!, { readOnly: true })
const next = db.prepare(
  `SELECT idx, kind, payload FROM entries WHERE idx > ? ORDER BY idx LIMIT ${BATCH_ENTRIES}`,
)
next.setReturnArrays(true)
const tree = new SortedBTree.default<string, string>(undefined, (a, b) => (a < b ? -1 : a === b ? 0 : 1), 32)
let entries = 0
for (let after = 0; ; ) {
  const rows = next.all(after) as unknown as [number, number, Uint8Array][]
  if (rows.length === 0) break
  for (const [, kind, payload] of rows) {
    if (kind !== COMMAND || payload[0] !== SET) continue
    const [keyStart, keyLength] = readLength(payload, 1)
    const [valueStart, valueLength] = readLength(payload, keyStart + keyLength)
    tree.set(
      byteStringOf(payload, keyStart, keyStart + keyLength),
      byteStringOf(payload, valueStart, valueStart + valueLength),
    )
    entries++
  }
  after = rows.at(-1)![0]
}
process.send!({ entries, items: tree.size, tookMs: performance.now() - beganMs } satisfies PlainReplay)
process.disconnect()

/** A length of seven bits a byte, low ones first; where it ends, and what it is. */
function readLength(bytes: Uint8Array, at: number): [start: number, length: number] {
  let length = 0
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++]!
    length += (byte & 127) * scale
    if (byte < 128) return [at, length]
  }
}
