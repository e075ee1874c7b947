import { RawStreams } from './raw-stream.ts'
import { type Benchmark, type Pair, shared } from './runner.ts'
import { startTransfer } from './transfer/processes.ts'
import { MB } from './transfer/rate.ts'
import type { StateKind } from './transfer/states.ts'

export const RANDOM: StateKind = { type: 'random', valueBytes: 1_000 }
export const RANDOM_BYTES = 256e6
const CITIES_BYTES = 128e6
/** Warm-ups for several pairs, and for a single one, which is a quick look. */
const WARM_UPS = { several: 5, one: 3 }

/** Megabytes per second. */
interface Rates {
  readonly ours: number
  /** One raw stream whose receiver hashes what arrives. */
  readonly hashing: number
  /** One raw stream whose receiver only counts what arrives. */
  readonly plain: number
}

/**
 * One provider has a snapshot that is cut and encoded. One joiner without a state fetches it; each has its
 * own process. The measure is the snapshot's bytes over the time from the first request for a chunk to the
 * last chunk verified. The joiner builds its new state meanwhile. The baseline is one libp2p stream with as
 * many bytes between two other processes, from the request to the last byte.
 */
export const transfer: readonly Benchmark[] = [
  {
    name: 'transfer-random',
    unit: 'MB/s',
    baseline: 'one raw stream, the receiver hashing every byte',
    target: { ratioMin: 0.9 },
    measure: async (scale, wanted) => pairsWith('hashing', await random(scale, wanted)),
  },
  {
    name: 'transfer-random/plain',
    unit: 'MB/s',
    baseline: 'one raw stream, the receiver only counting',
    measure: async (scale, wanted) => pairsWith('plain', await random(scale, wanted)),
  },
  {
    name: 'transfer-cities',
    unit: 'MB/s',
    baseline: 'one raw stream with the uncompressed bytes, the receiver only counting',
    target: { ratioMin: 1.3 },
    measure: async (scale, wanted) =>
      pairsWith('plain', await rates({ type: 'cities' }, CITIES_BYTES * scale, wanted, ['plain'])),
  },
]

const random = shared((scale, wanted) => rates(RANDOM, RANDOM_BYTES * scale, wanted, ['hashing', 'plain']))

function pairsWith(baseline: 'hashing' | 'plain', measured: readonly Rates[]): Pair[] {
  return measured.map((rates) => ({ ours: rates.ours, baseline: rates[baseline] }))
}

async function rates(
  state: StateKind,
  bytes: number,
  wanted: number,
  baselines: readonly ('hashing' | 'plain')[],
): Promise<Rates[]> {
  await using stack = new AsyncDisposableStack()
  const { whole, fetch: ours } = await startTransfer(stack, state, bytes)
  const raw = stack.use(await RawStreams.start())
  const theirs = async () => {
    const measured = { hashing: Number.NaN, plain: Number.NaN }
    for (const baseline of baselines) {
      measured[baseline] = (await raw.bytesPerSecond(whole.bytes, baseline === 'hashing')) / MB
    }
    return measured
  }
  // The first joiner causes the chunks to be encoded. In the other runs all processes compile their code and
  // settle on their memory.
  for (let run = 0; run < (wanted > 1 ? WARM_UPS.several : WARM_UPS.one); run++) {
    await ours()
    await theirs()
  }
  const measured: Rates[] = []
  for (let run = 0; run < wanted; run++) {
    const early = run % 2 === 0 ? await ours() : undefined
    const baseline = await theirs()
    measured.push({ ...baseline, ours: early ?? (await ours()) })
  }
  return measured
}
