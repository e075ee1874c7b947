/**
 * How the processes of the figures talk: lines of JSON on standard output, commands on standard input. A program in
 * any language can take part.
 */

import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'

/** What a program says: that it has loaded its libraries, that it serves or is in sync, and answers. */
export interface Line {
  readonly event: 'loaded' | 'ready' | 'digest'
  readonly [field: string]: unknown
}

let isWatching = false
let serves = false

/** A party ends with its parent, also before it serves. */
function endWithParent(): void {
  if (isWatching) return
  isWatching = true
  process.stdin.resume().once('end', () => {
    if (!serves) process.exit(1)
  })
}

export function say(line: Line): void {
  endWithParent()
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

/** Answer commands until the input ends. That is the end of the process, too. */
export async function serve(items: () => Iterable<readonly [string, string]>, end?: () => unknown) {
  serves = true
  for await (const _ of createInterface(process.stdin)) say({ event: 'digest', ...digestOf(items()) })
  setTimeout(() => process.exit(1), 5_000).unref()
  await end?.()
  process.exit()
}

/** SHA-256 of all items in the order of their keys' bytes: each key and each value, with a zero byte behind it. */
export function digestOf(items: Iterable<readonly [string, string]>) {
  const pairs = Array.from(items, ([key, value]) => [Buffer.from(key), value] as const)
  pairs.sort(([a], [b]) => a.compare(b))
  const hash = createHash('sha256')
  for (const [key, value] of pairs) hash.update(key).update('\0').update(value).update('\0')
  return { digest: hash.digest('hex'), items: pairs.length }
}
