import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from './child.ts'
import { RawStreams } from './raw-stream.ts'
import { type Benchmark, type Pair, shared } from './runner.ts'
import type { Joiner } from './transfer/joiner.ts'
import type { Provider } from './transfer/provider.ts'
import type { StateKind } from './transfer/states.ts'

const ITEMS = 1_000_000
const ITEM_BYTES = 100
const STATE: StateKind = { type: 'noise', itemBytes: ITEM_BYTES }
const JOINERS = [1, 4, 16] as const
const JOINER_PROCESSES = 2
/** Warm-ups for several pairs, and for a single one, which is a quick look. */
const WARM_UPS = { several: 3, one: 1 }
const WARM_UP_JOINERS = 4
/** Less processor time than this says nothing, in milliseconds. */
const CPU_MIN_MS = 1

type Joiners = (typeof JOINERS)[number]

/** The sender's processor time, in milliseconds, by the number of joiners. */
type CpuMs = Readonly<Record<Joiners, number>>

/**
 * Joiners without a state come all at once to a provider that has cut nothing yet, and must then cut once.
 * The measure is the provider's processor time (user and system), from before they come until the last one is
 * in sync: all of it for one joiner, and for more what each beyond the first adds. The baseline is what the
 * same bytes cost a process that sends them over a raw libp2p stream to each, including connecting.
 */
export const manyJoiners: readonly Benchmark[] = [
  {
    name: 'many-joiners/1',
    unit: 'ms',
    // There is no target, because most of this does not grow with the joiners: it is cutting.
    baseline: 'processor time of sending the bytes over one raw stream',
    measure: async (scale, wanted) =>
      (await cpu(scale, wanted)).map(({ ours, baseline }) => ({ ours: ours[1], baseline: baseline[1] })),
  },
  addedBy(4),
  addedBy(16),
]

function addedBy(joiners: Exclude<Joiners, 1>): Benchmark {
  const added = (cpuMs: CpuMs) => Math.max((cpuMs[joiners] - cpuMs[1]) / (joiners - 1), CPU_MIN_MS)
  return {
    name: `many-joiners/${joiners}`,
    unit: 'ms',
    baseline: `processor time that each of ${joiners} raw streams beyond the first adds`,
    target: { ratioMax: 1.3 },
    measure: async (scale, wanted) =>
      (await cpu(scale, wanted)).map(({ ours, baseline }) => ({
        ours: added(ours),
        baseline: added(baseline),
      })),
  }
}

const cpu = shared(async (scale, wanted): Promise<Pair<CpuMs>[]> => {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-bench-'))
  stack.defer(() => rm(dir, { recursive: true }))
  const provider = stack.use(new Child<Provider>(new URL('./transfer/provider.ts', import.meta.url)))
  const joining = Array.from({ length: JOINER_PROCESSES }, () =>
    stack.use(new Child<Joiner>(new URL('./transfer/joiner.ts', import.meta.url))),
  )
  const raw = stack.use(await RawStreams.start(JOINER_PROCESSES))
  let runs = 0

  /** A provider that has not served yet, in a group of its own. */
  const ours = async (joiners: number): Promise<{ cpuMs: number; bytesEach: number }> => {
    const logPath = join(dir, `log-${++runs}.db`)
    await provider.call('start', { logPath, state: STATE })
    await provider.call('grow', Math.ceil(ITEMS * scale) * ITEM_BYTES)
    const items = await provider.call('size')
    await provider.call('watch')
    const used = joining.slice(0, joiners)
    const replicas = joiners / used.length
    const joined = (
      await Promise.all(used.map((child) => child.call('join', { logPath, state: STATE, replicas })))
    ).flat()
    const { cpuMs, captured, cut } = await provider.call('watched')
    await provider.call('stop')
    if (joined.length !== joiners || joined.some((one) => one.items !== items)) {
      throw new Error('a joiner has not all of the state')
    }
    if (captured !== 1 || cut !== 1) throw new Error(`captured ${captured} times, and cut ${cut} times`)
    return { cpuMs, bytesEach: joined[0]!.report.bytesFetched }
  }

  // Uncounted runs, after which all processes have compiled their code.
  let bytesEach = 0
  for (let run = 0; run < (wanted > 1 ? WARM_UPS.several : WARM_UPS.one); run++) {
    bytesEach = (await ours(WARM_UP_JOINERS)).bytesEach
    await raw.senderCpuMs(bytesEach, WARM_UP_JOINERS)
  }
  const measured: Pair<CpuMs>[] = []
  for (let run = 0; run < wanted; run++) {
    const cpuMs = { ours: { 1: 0, 4: 0, 16: 0 }, baseline: { 1: 0, 4: 0, 16: 0 } }
    for (const [n, joiners] of JOINERS.entries()) {
      const oursFirst = (run + n) % 2 === 0
      if (oursFirst) cpuMs.ours[joiners] = (await ours(joiners)).cpuMs
      cpuMs.baseline[joiners] = await raw.senderCpuMs(bytesEach, joiners)
      if (!oursFirst) cpuMs.ours[joiners] = (await ours(joiners)).cpuMs
    }
    measured.push(cpuMs)
  }
  return measured
})
