import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from '../child.ts'
import { RawStreams } from '../raw-stream.ts'
import type { Pair } from '../runner.ts'
import type { Provider } from '../transfer/provider.ts'
import type { StateKind } from '../transfer/states.ts'
import type { JoinerMethods } from './joiner.ts'

const ITEMS = 1_000_000
const VALUE_BYTES = 100
const STATE: StateKind = { type: 'random', valueBytes: VALUE_BYTES }
/** Joins before the measurement. The first one also causes the chunks to be encoded. */
const WARM_UPS = 3
/** The least number of pairs. One takes two seconds. */
const PAIRS_MIN = 3

/**
 * One provider has a snapshot of a million small items that is cut and encoded. Replicas without a state join
 * it, one after the other in one process, which has compiled its code by then. Ours is a joiner's processor
 * time from before it is made until it has caught up, less that of a replica which lives as long in a group
 * without items. The baseline is that of a receiver of as many bytes over one raw stream, which hashes them.
 */
export async function warmJoins(scale: number, wanted: number): Promise<Pair[]> {
  await using stack = new AsyncDisposableStack()
  const { bytes, join: ours } = await startWarm(stack, scale)
  const raw = stack.use(await RawStreams.start())
  const pairs: Pair[] = []
  for (let run = -WARM_UPS; run < Math.max(wanted, PAIRS_MIN); run++) {
    const early = run % 2 === 0 ? await ours() : undefined
    const baseline = await raw.receiverCpuMs(bytes)
    const pair = { ours: early ?? (await ours()), baseline }
    if (run >= 0) pairs.push(pair)
  }
  return pairs
}

export interface Warm {
  /** Bytes of all chunks, not encoded. */
  readonly bytes: number
  /** Have a replica join. Resolves with its processor time beyond an idle one's, in milliseconds. */
  join(): Promise<number>
}

export async function startWarm(stack: AsyncDisposableStack, scale: number): Promise<Warm> {
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-bench-'))
  stack.defer(() => rm(dir, { recursive: true }))
  const [full, empty] = [join(dir, 'full.db'), join(dir, 'empty.db')]
  const provider = stack.use(startProvider())
  const idler = stack.use(startProvider())
  const joiner = stack.use(new Child<JoinerMethods>(new URL('./joiner.ts', import.meta.url)))
  await idler.call('start', { logPath: empty, state: STATE })
  await provider.call('start', { logPath: full, state: STATE })
  await provider.call('grow', Math.ceil(ITEMS * scale) * VALUE_BYTES)
  const items = await provider.call('size')
  const bytes = await provider.call('cut', await provider.call('mark'))
  return {
    bytes,
    async join() {
      const { tookMs, cpuMs } = await joiner.call('join', full, items)
      const idle = await joiner.call('idle', empty, tookMs)
      return cpuMs - idle.cpuMs
    },
  }
}

function startProvider(): Child<Provider> {
  return new Child<Provider>(new URL('../transfer/provider.ts', import.meta.url))
}
