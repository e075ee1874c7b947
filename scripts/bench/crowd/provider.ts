import { subscribe } from 'node:diagnostics_channel'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { serveReplica } from '../../../src/testing/index.ts'
import { SPANS, type Span } from '../../../src/time/index.ts'
import { collectGarbage } from '../runner.ts'
import { ITEM_BYTES, Noise } from './noise.ts'

/** The process that serves the crowd. It measures its own memory and event loop. */

const SAMPLE_MS = 20
const WRITES_AT_ONCE = 256

let watch:
  | { readonly timer: NodeJS.Timeout; readonly delay: ReturnType<typeof monitorEventLoopDelay> }
  | undefined
let peakBytes = 0
let longest: Span = { what: 'nothing', tookMs: 0, cpuMs: 0 }

subscribe(SPANS, (message) => {
  const span = message as Span
  if (span.cpuMs > longest.cpuMs) longest = span
})

export interface Watched {
  readonly peakBytes: number
  /** The longest span for which our own work held the event loop. */
  readonly longest: Span
  /**
   * The event loop's delay from any cause, in milliseconds: libp2p, encryption, garbage collection and other
   * processes too.
   */
  readonly delayMs: { readonly p50: number; readonly p99: number; readonly max: number }
}

serveReplica({
  machine: () => new Noise(),
  methods: {
    /** Write `items` items. */
    async grow(replica, _noise, items: number) {
      const command = new Uint8Array(ITEM_BYTES)
      for (let left = items; left > 0; left -= WRITES_AT_ONCE) {
        const writes = Math.min(left, WRITES_AT_ONCE)
        await Promise.all(Array.from({ length: writes }, () => replica.submit(command)))
      }
    },
    /** Begin to measure. Returns the resident memory now, in bytes. */
    watch(): number {
      collectGarbage({ type: 'major' })
      peakBytes = process.memoryUsage.rss()
      longest = { what: 'nothing', tookMs: 0, cpuMs: 0 }
      const timer = setInterval(() => {
        peakBytes = Math.max(peakBytes, process.memoryUsage.rss())
      }, SAMPLE_MS).unref()
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      watch = { timer, delay }
      return peakBytes
    },
    watched(): Watched {
      const { timer, delay } = watch!
      clearInterval(timer)
      delay.disable()
      const ms = (nanoseconds: number) => nanoseconds / 1e6
      const delayMs = { p50: ms(delay.percentile(50)), p99: ms(delay.percentile(99)), max: ms(delay.max) }
      return { peakBytes, longest, delayMs }
    },
  },
})
