import { randomFillSync } from 'node:crypto'
import { readRows } from '../../../src/cli/demo/rows.ts'
import { bytesCodec, type Replica, ReplicatedMap } from '../../../src/index.ts'
import type { StateMachine } from '../../../src/machine/index.ts'
import { Noise } from '../crowd/noise.ts'

/** A state to replicate, and the source of its items. */
export type StateKind =
  /** A map of values that cannot be compressed. */
  | { readonly type: 'random'; readonly valueBytes: number }
  /** A map of GeoNames rows, repeated under keys of their own. */
  | { readonly type: 'cities' }
  /**
   * Items that cannot be compressed and take no memory. They are made when they are cut, and dropped when
   * they are installed.
   */
  | { readonly type: 'noise'; readonly itemBytes: number }

export interface State {
  readonly machine: StateMachine
  /** The number of items. */
  size(): number
  /** Write about `bytes` bytes of items. Resolves when they are applied. */
  grow(replica: Replica, bytes: number): Promise<void>
}

const BATCH_ITEMS = 1_000
/** Batches that are appended at once. */
const BATCHES = 4

export function makeState(kind: StateKind): State {
  switch (kind.type) {
    case 'random':
      return randomValues(kind.valueBytes)
    case 'cities':
      return cities()
    case 'noise':
      return noise(kind.itemBytes)
    default:
      return kind satisfies never
  }
}

function randomValues(valueBytes: number): State {
  const machine = new ReplicatedMap<string, Uint8Array>({ values: bytesCodec })
  return {
    machine,
    size: () => machine.size,
    async grow(_, bytes) {
      const entry = (n: number) =>
        [`key-${String(n).padStart(8, '0')}`, randomFillSync(new Uint8Array(valueBytes))] as const
      await setAll(machine, Math.ceil(bytes / valueBytes), entry)
    },
  }
}

function cities(): State {
  const machine = new ReplicatedMap<string, { readonly [field: string]: string }>()
  return {
    machine,
    size: () => machine.size,
    async grow(_, bytes) {
      const once = await readRows()
      const onceBytes = once.reduce(
        (sum, { key, value }) => sum + key.length + JSON.stringify(value).length,
        0,
      )
      const rows = await readRows(Math.ceil((once.length * bytes) / onceBytes))
      await setAll(machine, rows.length, (n) => [rows[n]!.key, rows[n]!.value] as const)
    },
  }
}

function noise(itemBytes: number): State {
  const machine = new NoiseAtOnce(itemBytes)
  return {
    machine,
    size: () => machine.items,
    async grow(replica, bytes) {
      await replica.submit(Buffer.from(String(Math.ceil(bytes / itemBytes))))
    },
  }
}

/** A noise machine whose commands say how many items to add. */
class NoiseAtOnce extends Noise {
  override apply(command: Uint8Array): void {
    this.add(Number(Buffer.from(command).toString()))
  }
}

async function setAll<V>(
  map: ReplicatedMap<string, V>,
  count: number,
  entry: (n: number) => readonly [string, V],
): Promise<void> {
  let next = 0
  const work = async () => {
    while (next < count) {
      const first = next
      next = Math.min(first + BATCH_ITEMS, count)
      await map.setMany(Array.from({ length: next - first }, (_, i) => entry(first + i)))
    }
  }
  await Promise.all(Array.from({ length: BATCHES }, work))
}
