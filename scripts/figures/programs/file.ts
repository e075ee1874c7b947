/** Replays a SQLite log of ours in a bare loop, without a replica: `file.ts PATH KEY`. */

import { readLength } from '../../../src/cli/demo/read-length.ts'
import { bareReader } from '../../../src/log/bare-read.ts'
import { say, serve } from '../lines.ts'

/** The first byte of a command that sets a key without a TTL. */
const SET = 1

const [path, key] = process.argv.slice(2) as [string, string]
const read = await bareReader(path, 'figures')
say({ event: 'loaded' })
const map = new Map<string, string>()
await read((bytes, start) => {
  if (bytes[start] !== SET) return
  const [keyStart, keyLength] = readLength(bytes, start + 1)
  const [valueStart, valueLength] = readLength(bytes, keyStart + keyLength)
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  map.set(
    text.toString('utf8', keyStart, keyStart + keyLength),
    text.toString('utf8', valueStart, valueStart + valueLength),
  )
})
say({ event: 'ready', value: map.get(key), items: map.size })
await serve(() => map)
