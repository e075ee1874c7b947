import { type BytesMap, bytesMap, keyOf, randomValue } from '../capture/map.ts'
import { shuffle } from '../lease-table/keys.ts'

/**
 * Items of which commands are made at a time. They are made between two measured spans, not in one. To measure a
 * span costs as much as some hundred items.
 */
const BATCH = 5_000
const BATCH_LOADED = 50_000

const { commands } = bytesMap()

/** The numbers of all items, in random order. */
export function randomOrder(items: number): Uint32Array {
  return shuffle(Uint32Array.from({ length: items }, (_, n) => n))
}

/** Commands, in batches, that set these items one by one to random values. */
export function* sets(order: Uint32Array): Generator<Uint8Array[]> {
  for (let at = 0; at < order.length; at += BATCH)
    yield Array.from(order.subarray(at, at + BATCH), (number) => commands.set(keyOf(number), randomValue()))
}

/** Set these items one by one to random values. */
export function setEach(map: BytesMap, order: Uint32Array): void {
  for (const batch of sets(order)) for (const command of batch) map.apply(command)
}

/** Commands, in batches, that set the items from the first one to the last, `many` with each command. */
export function* loads(items: number, many: number): Generator<Uint8Array[]> {
  for (let first = 0; first < items; first += BATCH_LOADED)
    yield Array.from({ length: Math.ceil(Math.min(BATCH_LOADED, items - first) / many) }, (_, n) =>
      load(first + n * many, Math.min(first + (n + 1) * many, items)),
    )
}

function load(from: number, to: number): Uint8Array {
  return commands.setMany(Array.from({ length: to - from }, (_, n) => [keyOf(from + n), randomValue()]))
}

/** The bytes of all items, as a snapshot has them. */
export function itemBytes(map: BytesMap): number {
  let bytes = 0
  const snapshot = map.capture()
  for (const item of snapshot.items()) bytes += item.length
  snapshot.release()
  return bytes
}
