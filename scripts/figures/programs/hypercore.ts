/**
 * A Hypercore over TCP, with some entries in each block. `hypercore.ts FOLDER log DIR ENTRIES ROWS ROUNDS` writes the
 * history, and `state …` only what is left of it. `read DIR CORE KEY PORTS...` downloads it from all these ports,
 * applies it in order, and serves it too.
 */

import { once } from 'node:events'
import { createRequire } from 'node:module'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { finalItems, history, rowsIn } from '../history.ts'
import { say, serve } from '../lines.ts'

/** The part of its interface that is used here. It has no types of its own. */
interface Core {
  readonly key: Buffer
  readonly length: number
  ready(): Promise<void>
  append(blocks: readonly Buffer[]): Promise<unknown>
  get(index: number): Promise<Buffer>
  update(options: { wait: boolean }): Promise<boolean>
  download(range: { start: number; end: number }): { done(): Promise<void> }
  replicate(initiator: boolean): Duplex
  close(): Promise<void>
}

/** Blocks that are read at once. */
const READS = 256

const [folder, mode, dir, ...rest] = process.argv.slice(2) as [string, string, string, ...string[]]
const Hypercore: new (dir: string, key?: Buffer) => Core = createRequire(join(folder, 'package.json'))(
  'hypercore',
)
say({ event: 'loaded' })
const map = new Map<string, string>()
if (mode !== 'read') await write(Number(rest[0]), rest[1]!, Number(rest[2]))
else await read(Buffer.from(rest[0]!, 'hex'), rest[1]!, rest.slice(2).map(Number))

async function write(blockEntries: number, path: string, rounds: number): Promise<void> {
  const core = new Hypercore(dir)
  await core.ready()
  const rows = await rowsIn(path)
  const batches = mode === 'log' ? history(rows, rounds) : [[...finalItems(rows, rounds)]]
  for (const batch of batches) {
    const blocks: Buffer[] = []
    for (let at = 0; at < batch.length; at += blockEntries) {
      const entries = batch.slice(at, at + blockEntries)
      blocks.push(Buffer.from(entries.map(([key, value]) => `${key}\t${value}\n`).join('')))
    }
    await core.append(blocks)
  }
  await offer(core)
}

async function read(coreKey: Buffer, key: string, ports: readonly number[]): Promise<void> {
  const core = new Hypercore(dir, coreKey)
  await core.ready()
  for (const port of ports) replicate(core, connect(port, '127.0.0.1'), true)
  while (core.length === 0) await core.update({ wait: true })
  const { length } = core
  const range = core.download({ start: 0, end: length })
  for (let at = 0; at < length; at += READS) {
    const reads = Array.from({ length: Math.min(READS, length - at) }, (_, n) => core.get(at + n))
    for (const block of await Promise.all(reads)) apply(block)
  }
  await range.done()
  await offer(core, key)
}

function apply(block: Buffer): void {
  for (const line of block.toString().split('\n').slice(0, -1)) {
    const tab = line.indexOf('\t')
    map.set(line.slice(0, tab), line.slice(tab + 1))
  }
}

async function offer(core: Core, key = ''): Promise<void> {
  const server = createServer((socket) => replicate(core, socket, false)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const address = { core: core.key.toString('hex'), port }
  say({ event: 'ready', ...address, blocks: core.length, value: map.get(key), items: map.size })
  await serve(
    () => map,
    () => core.close(),
  )
}

/** Replicate over a connection, encrypted by its Noise stream. */
function replicate(core: Core, socket: Socket, initiator: boolean): void {
  const stream = core.replicate(initiator)
  // A peer that leaves ends its connection in the middle.
  socket.on('error', () => {})
  stream.on('error', () => {})
  socket.setNoDelay(true)
  socket.pipe(stream).pipe(socket)
}
