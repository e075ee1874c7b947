import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'
import { hash } from '../../../src/snapshot/hash.ts'
import { serveCalls } from '../child.ts'
import { collectGarbage } from '../runner.ts'
import { createNode, encodeWish, PROTOCOL, type Wish } from './node.ts'

/** A process that receives what a sender writes, and hashes it or only counts it. */

export interface Receive extends Wish {
  readonly address: string
  /** Streams at once, each from a node of its own. */
  readonly streams: number
  /** Hash every byte, as a joiner does. */
  readonly hashing: boolean
}

/** What it cost the receiver, from the first request to the last byte. */
export interface Received {
  readonly tookMs: number
  /** Processor time, user and system. */
  readonly cpuMs: number
}

const HASHED_AT_ONCE_BYTES = 1024 * 1024
const DOMAIN = 'anchorage bench raw stream'

const nodes = new Set<Libp2p>()

const methods = {
  async receive({ address, streams, hashing, ...wish }: Receive): Promise<Received> {
    collectGarbage({ type: 'major' })
    const opened = await Promise.all(Array.from({ length: streams }, () => open(address)))
    const beganMs = performance.now()
    const before = process.cpuUsage()
    await Promise.all(
      opened.map(({ stream }) => {
        stream.send(encodeWish(wish))
        return takeIn(stream, wish.bytes, hashing)
      }),
    )
    const tookMs = performance.now() - beganMs
    const { user, system } = process.cpuUsage(before)
    await Promise.all(opened.map(({ node }) => stop(node)))
    return { tookMs, cpuMs: (user + system) / 1_000 }
  },
}

async function open(address: string): Promise<{ node: Libp2p; stream: Stream }> {
  const node = await createNode([])
  nodes.add(node)
  return { node, stream: await node.dialProtocol(multiaddr(address), PROTOCOL) }
}

/** Resolves when `bytes` bytes have arrived. */
function takeIn(stream: Stream, bytes: number, hashing: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0
    let unhashed: Uint8Array[] = []
    let unhashedBytes = 0
    stream.addEventListener('message', ({ data }) => {
      received += data.byteLength
      if (hashing) {
        if (data instanceof Uint8Array) unhashed.push(data)
        else for (const part of data) unhashed.push(part)
        unhashedBytes += data.byteLength
        if (unhashedBytes >= HASHED_AT_ONCE_BYTES || received >= bytes) {
          hash(DOMAIN, ...unhashed)
          unhashed = []
          unhashedBytes = 0
        }
      }
      if (received >= bytes) resolve()
    })
    stream.addEventListener('close', () => reject(new Error(`${received} of ${bytes} bytes arrived`)))
  })
}

async function stop(node: Libp2p): Promise<void> {
  nodes.delete(node)
  await node.stop()
}

serveCalls(methods, () => Promise.all([...nodes].map(stop)))

export type Receiver = typeof methods
