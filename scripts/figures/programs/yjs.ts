/** A Y.Map over a plain TCP connection: `yjs.ts FOLDER write ROWS ROUNDS` or `read KEY PORT`. */

import { once } from 'node:events'
import { createRequire } from 'node:module'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { history, rowsIn } from '../history.ts'
import { say, serve } from '../lines.ts'

/** The part of its interface that is used here. It is loaded from a folder that this package does not know. */
interface Doc {
  getMap(name: string): {
    readonly size: number
    get(key: string): string | undefined
    set(key: string, value: string): void
    entries(): Iterable<[string, string]>
  }
  transact(work: () => void): void
}
interface Yjs {
  readonly Doc: new () => Doc
  encodeStateVector(doc: Doc): Uint8Array
  encodeStateAsUpdate(doc: Doc, stateVector: Uint8Array): Uint8Array
  applyUpdate(doc: Doc, update: Uint8Array): void
}

const [folder, mode, ...rest] = process.argv.slice(2) as [string, string, ...string[]]
const yjs: Yjs = createRequire(join(folder, 'package.json'))('yjs')
say({ event: 'loaded' })
const doc = new yjs.Doc()
const map = doc.getMap('figures')
if (mode === 'write') await write(rest[0]!, Number(rest[1]))
else await read(rest[0]!, Number(rest[1]))

async function write(path: string, rounds: number): Promise<void> {
  for (const batch of history(await rowsIn(path), rounds)) {
    doc.transact(() => {
      for (const [key, value] of batch) map.set(key, value)
    })
  }
  const server = createServer({ allowHalfOpen: true }, async (socket) => {
    socket.on('error', () => {})
    const stateVector = Buffer.concat(await Array.fromAsync(socket))
    // Encoded for each newcomer, because each may lack something else.
    socket.end(yjs.encodeStateAsUpdate(doc, stateVector))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  say({ event: 'ready', port: (server.address() as AddressInfo).port })
  await serve(() => map.entries())
}

async function read(key: string, port: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(yjs.encodeStateVector(doc))
  yjs.applyUpdate(doc, Buffer.concat(await Array.fromAsync(socket)))
  say({ event: 'ready', value: map.get(key), items: map.size })
  await serve(() => map.entries())
}
