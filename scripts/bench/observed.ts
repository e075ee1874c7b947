import { itemsAt, measureSpans, startLoaded } from './capture.ts'
import { startWarm } from './catch-up/warm.ts'
import { startObserved } from './metrics.ts'
import { type Benchmark, type Pair, pairs } from './runner.ts'
import { startTransfer } from './transfer/processes.ts'
import { RANDOM, RANDOM_BYTES } from './transfer.ts'

/** Pairs in any case. The difference is less than that between two runs of the same. */
const PAIRS_MIN = 15
const WARM_UPS = 3
/** How long a replica of `capture` is watched while nothing is fetched, in milliseconds. */
const IDLE_MS = 500

/** Measures one run of processes that were started before. */
type Run = () => Promise<number>

/**
 * What metrics and logs cost: the processes of other benchmarks twice, with both and without, whose runs take turns.
 * Metrics are kept as for `anchorage node --http`, and logs are written at level info, to /dev/null.
 */
export const observed: readonly Benchmark[] = [
  {
    name: 'observed/transfer-random',
    unit: 'MB/s',
    baseline: 'the same without metrics and logs',
    target: { ratioMin: 0.97 },
    measure: (scale, wanted) =>
      inTurn(Math.max(wanted, PAIRS_MIN), async (stack) => {
        const { fetch } = await startTransfer(stack, RANDOM, RANDOM_BYTES * scale)
        return fetch
      }),
  },
  {
    name: 'observed/catch-up-warm',
    unit: 'ms of CPU',
    baseline: 'the same without metrics and logs',
    target: { ratioMax: 1.03 },
    measure: (scale, wanted) =>
      inTurn(Math.max(wanted, PAIRS_MIN), async (stack) => (await startWarm(stack, scale)).join),
  },
  {
    // Of a replica that applies 20,000 entries a second, and captures, cuts and serves a snapshot meanwhile.
    name: 'observed/capture',
    unit: 'µs of CPU per entry',
    baseline: 'the same without metrics and logs',
    target: { ratioMax: 1.03 },
    measure: (scale, wanted) =>
      inTurn(Math.max(wanted, PAIRS_MIN), async (stack) => {
        const loaded = stack.use(await startLoaded(scale))
        return async () => {
          await loaded.write(itemsAt(scale))
          const { cutting, serving } = await measureSpans(loaded, IDLE_MS, true)
          await loaded.rest()
          return (cutting.cpuUsPerEntry + serving.cpuUsPerEntry) / 2
        }
      }),
  },
]

async function inTurn(wanted: number, start: (stack: AsyncDisposableStack) => Promise<Run>): Promise<Pair[]> {
  await using stack = new AsyncDisposableStack()
  const ours = await startObserved(() => start(stack))
  const baseline = await start(stack)
  return await pairs({ warmUps: WARM_UPS, counted: wanted, garbage: 'minor' }, { ours, baseline })
}
