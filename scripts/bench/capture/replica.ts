import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serveReplica } from '../../../src/testing/index.ts'
import { peakBytes, resetPeak, settledBytes } from '../memory/resident.ts'
import { observed } from '../metrics.ts'
import { median, timeMs } from '../runner.ts'
import { type BytesMap, bytesMap, randomKey, randomValue } from './map.ts'

/** A replica that measures its own event loop, pace and memory. */

const CAPTURES = 9
const WRITES_PER_CAPTURE = 1_000
const COPIES = 3

export interface Span {
  /** The event loop's delay from any cause, in milliseconds. */
  readonly p99Ms: number
  readonly maxMs: number
  readonly entriesPerSecond: number
  /** Processor time for each entry that was applied meanwhile, whatever it was spent on, in microseconds. */
  readonly cpuUsPerEntry: number
  /** How long it took at the end to apply what was committed by then, in milliseconds. */
  readonly lagMs: number
}

let span:
  | {
      readonly delay: ReturnType<typeof monitorEventLoopDelay>
      readonly beganMs: number
      readonly cpu: NodeJS.CpuUsage
      readonly index: number
    }
  | undefined

serveReplica({
  machine: bytesMap,
  methods: {
    beginSpan(replica) {
      observed(replica)
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      const { index } = replica.position
      span = { delay, beganMs: performance.now(), cpu: process.cpuUsage(), index }
    },
    async endSpan(replica): Promise<Span> {
      const { delay, beganMs, cpu, index } = span!
      delay.disable()
      const endedMs = performance.now()
      const { user, system } = process.cpuUsage(cpu)
      const entries = replica.position.index - index
      await replica.barrier()
      return {
        p99Ms: delay.percentile(99) / 1e6,
        maxMs: delay.max / 1e6,
        entriesPerSecond: (entries * 1_000) / (endedMs - beganMs),
        cpuUsPerEntry: (user + system) / entries,
        lagMs: performance.now() - endedMs,
      }
    },
    /**
     * How long a capture takes. Some writes precede each, so that it does not share all nodes with the last
     * one.
     */
    async captureMs(_replica, map: BytesMap): Promise<number> {
      const items = map.size
      const tookMs: number[] = []
      for (let n = 0; n < CAPTURES; n++) {
        await map.setMany(Array.from({ length: WRITES_PER_CAPTURE }, () => [randomKey(items), randomValue()]))
        const beganMs = performance.now()
        const snapshot = map.capture()
        tookMs.push(performance.now() - beganMs)
        snapshot.release()
      }
      return median(tookMs)
    },
    /** How long a shallow copy of a `Map` with the same keys takes. */
    copyMs(_replica, map: BytesMap): number {
      const value = randomValue()
      const plain = new Map(map.keys().map((key) => [key, value]))
      return median(Array.from({ length: COPIES }, () => timeMs(() => new Map(plain))))
    },
    settledBytes,
    resetPeak,
    peakBytes,
  },
})
