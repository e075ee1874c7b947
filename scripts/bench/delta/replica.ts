import { randomFillSync } from 'node:crypto'
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { bytesCodec, ReplicatedMap } from '../../../src/index.ts'
import { serveReplica } from '../../../src/testing/index.ts'

/** A replica that counts every byte on its sockets. */

const VALUE_BYTES = 100
const BATCH_ITEMS = 1_000

/** Consecutive items, by their numbers. */
export interface Run {
  readonly first: number
  readonly count: number
}

const sockets = new Set<Socket>()
for (const name of ['net.client.socket', 'net.server.socket']) {
  subscribe(name, (message) => sockets.add((message as { readonly socket: Socket }).socket))
}

type BytesMap = ReplicatedMap<string, Uint8Array>

const keyOf = (item: number) => `key-${String(item).padStart(8, '0')}`

serveReplica({
  machine: () => new ReplicatedMap<string, Uint8Array>({ values: bytesCodec }),
  methods: {
    /** Give these items values that cannot be compressed. */
    set: (_, map: BytesMap, runs: readonly Run[]) =>
      inBatches(runs, (items) =>
        map.setMany(items.map((item) => [keyOf(item), randomFillSync(new Uint8Array(VALUE_BYTES))])),
      ),
    delete: (_, map: BytesMap, runs: readonly Run[]) =>
      inBatches(runs, (items) => map.deleteMany(items.map(keyOf))),
    size: (_, map: BytesMap) => map.size,
    /** Bytes received and sent so far, including encryption. */
    traffic: () => {
      let bytes = 0
      for (const { bytesRead, bytesWritten } of sockets) bytes += bytesRead + bytesWritten
      return bytes
    },
  },
})

async function inBatches(
  runs: readonly Run[],
  write: (items: readonly number[]) => Promise<unknown>,
): Promise<void> {
  let batch: number[] = []
  for (const { first, count } of runs) {
    for (let item = first; item < first + count; item++) {
      batch.push(item)
      if (batch.length < BATCH_ITEMS) continue
      await write(batch)
      batch = []
    }
  }
  if (batch.length > 0) await write(batch)
}
