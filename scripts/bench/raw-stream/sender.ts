import { randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import type { Stream } from '@libp2p/interface'
import type { Libp2p } from 'libp2p'
import { serveCalls } from '../child.ts'
import { collectGarbage } from '../runner.ts'
import { createNode, decodeWish, PROTOCOL } from './node.ts'

/** A process that writes as many bytes as it is asked for to each stream, as fast as back-pressure allows. */

/** More than a processor's caches hold, like a snapshot. */
const SOURCE = randomFillSync(new Uint8Array(64 * 1024 * 1024))

let node: Libp2p | undefined

const methods = {
  /** Resolves with the node's address. */
  async listen(): Promise<string> {
    node = await createNode(['/ip4/127.0.0.1/tcp/0'])
    await node.handle(PROTOCOL, (stream) => serve(stream), { maxInboundStreams: 64 })
    return node.getMultiaddrs()[0]!.toString()
  },
  collectGarbage: () => collectGarbage({ type: 'major' }),
  /** Processor time since the process began, in milliseconds. */
  cpuMs(): number {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1_000
  },
}

async function serve(stream: Stream): Promise<void> {
  const [{ data }] = await once(stream, 'message')
  const { bytes, writeBytes } = decodeWish(data.subarray())
  let sent = 0
  let at = 0
  while (sent < bytes) {
    const count = Math.min(writeBytes, bytes - sent)
    if (at + count > SOURCE.length) at = 0
    const more = stream.send(SOURCE.subarray(at, at + count))
    at += count
    sent += count
    if (!more) await below(stream, writeBytes)
  }
  await stream.close()
}

/** Resolves when less than one write is waiting, so that the next comes before the stream runs dry. */
function below(stream: Stream, writeBytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const look = () => {
      if (stream.writeBufferLength >= writeBytes) return
      leave()
      resolve()
    }
    const onClose = () => {
      leave()
      reject(new Error('the stream was closed'))
    }
    const leave = () => {
      stream.removeEventListener('drain', look)
      stream.removeEventListener('idle', look)
      stream.removeEventListener('close', onClose)
    }
    stream.addEventListener('drain', look)
    stream.addEventListener('idle', look)
    stream.addEventListener('close', onClose)
  })
}

serveCalls(methods, () => node?.stop())

export type Sender = typeof methods
