import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Uint8ArrayList } from 'uint8arraylist'
import { expect, onTestFinished, test } from 'vitest'
import { hash } from '../../src/snapshot/hash.ts'
import { SnapshotSync } from '../../src/sync/snapshot-sync.ts'
import { type ByteStream, decodeFrames } from '../../src/sync/wire/frames.ts'
import { decodeResponse } from '../../src/sync/wire/messages.ts'
import { ItemSnapshot, numberedItems } from '../snapshot/item-snapshot.ts'
import { MemoryNetwork } from '../sync/memory-network.ts'
import { StubHost } from '../sync/stub-host.ts'

const hasPython = spawnSync('python3', ['--version']).status === 0 || process.env.REQUIRE_PYTHON === '1'
if (!hasPython) console.warn('SKIPPED, because python3 is not installed: the second joiner, test/reader')

type Child = ChildProcessByStdio<Writable, Readable, Readable>

/** The standard input and output of a process, as a stream to a peer. */
function streamOf(child: Child): ByteStream {
  const { stdin, stdout } = child
  return {
    source: stdout,
    send: async (bytes) => {
      if (!stdin.write(bytes.subarray())) await once(stdin, 'drain')
    },
    get unsentBytes() {
      return stdin.writableLength
    },
    flushed: async () => {
      if (stdin.writableLength > 0) await once(stdin, 'drain')
    },
    close: async () => void stdin.end(),
    abort: () => void child.kill(),
  }
}

/** Items that zstd makes smaller, and a few chunks of some that it does not. */
function someItems(): Uint8Array[] {
  let state = 9
  const byte = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  }
  const noise = Array.from({ length: 60 }, () => Uint8Array.from({ length: 100 }, byte))
  return [...numberedItems(300, 90), ...noise]
}

/** Has a process catch up from a provider with these items. Resolves with its exit code, and what it said. */
async function catchUp(
  items: readonly Uint8Array[],
  change: (stream: ByteStream) => ByteStream = (same) => same,
) {
  const host = new StubHost('me')
  host.leads = 'me'
  host.admit('python')
  const sync = new SnapshotSync({ host }, new MemoryNetwork().join('me'))
  host.onAppend = async () => {
    sync.captured(ANCHOR, new ItemSnapshot(items), { control: CONTROL, chunkBytes: 1024, requesters: [] })
  }
  const joiner = spawn('python3', [new URL('joiner.py', import.meta.url).pathname], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  onTestFinished(async () => {
    joiner.kill()
    await sync.close()
  })
  // One that refuses what it reads ends, and takes no more.
  joiner.stdin.on('error', () => {})
  const serving = sync.serve('python', change(streamOf(joiner)))
  const [told, [status]] = await Promise.all([text(joiner.stderr), once(joiner, 'exit')])
  return { told, status, sync, serving }
}

const ANCHOR = { epoch: 'e', index: 101 }
const CONTROL = Buffer.from('control bytes')

test.skipIf(!hasPython)('another implementation catches up from a provider, by the page alone', async () => {
  const items = someItems()
  const { told, status, sync, serving } = await catchUp(items)
  expect([status, told]).toEqual([0, expect.stringMatching(/^{/)])
  await serving
  const { root, chunks } = (await sync.whenCut(ANCHOR))!
  const found = JSON.parse(told)
  expect(found).toEqual({
    anchor: ANCHOR.index,
    root: Buffer.from(root).toString('hex'),
    items: items.length,
    chunks: chunks.length,
    control: CONTROL.toString('hex'),
    text: Buffer.from(hash('anchorage 2026 chunk 1', ...items)).toString('hex'),
    remaining_ms: sync.ttlMs,
    zstd: expect.any(Number),
    refusals: [
      'OutOfRange',
      'OutOfRange',
      'UnknownAnchor',
      'Incompatible',
      'Incompatible',
      'Incompatible',
      'Failed',
      'Malformed',
    ],
  })
  // Of both encodings there was one at least.
  expect(found.zstd).toBeGreaterThan(0)
  expect(found.zstd).toBeLessThan(chunks.length)
})

test.skipIf(!hasPython)('it refuses a chunk with one bit turned', async () => {
  let turned = 0
  const { told, status } = await catchUp(someItems(), (stream) => ({
    ...stream,
    async send(bytes) {
      const frame = bytes.slice()
      const isChunk = decodeResponse(await headerOf(frame)).body.type === 'chunk'
      if (isChunk && turned++ === 0) frame[frame.length - 1]! ^= 1
      await stream.send(new Uint8ArrayList(frame))
    },
  }))
  expect(turned).toBeGreaterThan(0)
  expect([status, told.trim()]).toEqual([1, expect.stringMatching(/^refused: .*chunk/)])
})

async function headerOf(frame: Uint8Array): Promise<Uint8Array> {
  const source = (async function* () {
    yield frame
  })()
  for await (const { header } of decodeFrames(source, frame.length)) return header.slice()
  throw new RangeError('that is no frame')
}
