import { setTimeout as delay } from 'node:timers/promises'
import { type BytesMap, bytesMap, keyOf } from '../capture/map.ts'
import { serveCalls } from '../child.ts'
import { collectGarbage, median } from '../runner.ts'
import { addChunk, type Chunk, chunksOf } from './chunks.ts'
import { copied, randomPieces } from './copies.ts'
import { CpuTime } from './cpu-time.ts'
import { Cutter } from './cutter.ts'
import { itemBytes, randomOrder, setEach } from './items.ts'

/** A process that cuts and installs the state of a map. */

/** Processor time of each step, in milliseconds. */
export interface Cuts {
  readonly cut: number
  readonly copyAndHash: number
  /** Cutting again, when some neighbours have changed. */
  readonly cutNeighbours: number
  readonly install: number
  readonly copy: number
}

/** The part of the items that change between two cuts. */
const CHANGED_PART = 1 / 100
/** How often some change, and all is cut again. The median counts. */
const CHANGES = 5
/** The part of the items with which everything is done before the measurement. */
const WARM_UP_PART = 1 / 10
const WARM_UPS = 3

/** How long V8's helper threads go on after garbage was collected, in milliseconds, and more than that. */
const COLLECTED_MS = 300

let isWarm = false

const methods = {
  /** @param baselineFirst do the baseline of each pair first */
  async measure(items: number, baselineFirst: boolean): Promise<Cuts> {
    for (let run = 0; run < WARM_UPS && !isWarm; run++)
      await measureAll(Math.ceil(items * WARM_UP_PART), run % 2 === 0)
    isWarm = true
    return await measureAll(items, baselineFirst)
  },
}
export type CutsMethods = typeof methods

serveCalls(methods, () => {})

/**
 * Both sides of a pair take new memory, and keep it until the other is done. So neither has what the other
 * gave back.
 */
async function measureAll(items: number, baselineFirst: boolean): Promise<Cuts> {
  const map = bytesMap()
  setEach(map, randomOrder(items))
  const pieces = randomPieces(itemBytes(map))
  const cutter = new Cutter()
  const cutting = await inTurn(baselineFirst, pieces, true, async () => cutter.cut(map.capture()))
  const cutNeighbours: number[] = []
  for (let change = 0; change < CHANGES; change++) {
    setEach(map, neighbours(items))
    cutNeighbours.push((await timed(() => cutter.cut(map.capture()))).ms)
  }
  const chunks = await chunksOf(await cutter.cut(map.capture()))
  const installing = await inTurn(baselineFirst, pieces, false, async () => installed(chunks))
  return {
    cut: cutting.ours,
    copyAndHash: cutting.baseline,
    cutNeighbours: median(cutNeighbours),
    install: installing.ours,
    copy: installing.baseline,
  }
}

async function inTurn(
  baselineFirst: boolean,
  pieces: readonly Uint8Array[],
  hashing: boolean,
  work: () => Promise<unknown>,
): Promise<{ readonly ours: number; readonly baseline: number }> {
  const copying = () => timed(async () => copied(pieces, hashing))
  const early = baselineFirst ? await copying() : undefined
  const ours = await timed(work)
  const baseline = early ?? (await copying())
  return { ours: ours.ms, baseline: baseline.ms }
}

async function timed<T>(work: () => Promise<T>): Promise<{ readonly ms: number; readonly result: T }> {
  collectGarbage({ type: 'major' })
  await delay(COLLECTED_MS)
  const time = new CpuTime()
  const result = await time.measureAsync(work)
  return { ms: time.ms, result }
}

/** From chunks to a state that answers reads. */
function installed(chunks: readonly Chunk[]): BytesMap {
  const map = bytesMap()
  const installation = map.install()
  for (const chunk of chunks) addChunk(installation, chunk)
  installation.commit()
  if (map.get(keyOf(0)) === undefined) throw new Error('the first item is missing')
  return map
}

/** The numbers of some items that follow each other, from a random one on. */
function neighbours(items: number): Uint32Array {
  const count = Math.ceil(items * CHANGED_PART)
  const first = Math.floor(Math.random() * (items - count))
  return Uint32Array.from({ length: count }, (_, n) => first + n)
}
