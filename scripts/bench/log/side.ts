import { serveCalls } from '../child.ts'
import { collectGarbage } from '../runner.ts'
import { openOurs } from './ours.ts'
import { openPlain } from './plain.ts'
import type { Place, Subject } from './subject.ts'

/** A process in which one side is measured: ours or its baseline. */

export interface Shape {
  readonly entries: number
  /** Entries in each append. */
  readonly each: number
  /** How many appends are under way at once. */
  readonly inFlight: number
}

export interface Latency {
  readonly medianMs: number
  readonly p99Ms: number
}

const PAYLOAD_BYTES = 100
/** Payloads that differ: the first byte of each is its number. */
const PAYLOADS = Array.from({ length: 256 }, (_, n) => {
  const payload = crypto.getRandomValues(new Uint8Array(PAYLOAD_BYTES))
  payload[0] = n
  return payload
})
/** Entries before the latencies that count. */
const WARM_UPS = 100

let subject: Subject | undefined
let appended = 0

const methods = {
  async open(side: 'ours' | 'plain', place: Place): Promise<void> {
    subject = await (side === 'ours' ? openOurs : openPlain)(place)
    appended = 0
    // The first append may start threads, so it is not counted.
    await subject.append(next(1))
  },

  /** Resolves with entries per second. */
  async append({ entries, each, inFlight }: Shape): Promise<number> {
    const appends = Math.ceil(entries / each)
    collectGarbage({ type: 'major' })
    const beganMs = performance.now()
    let left = appends
    const line = async () => {
      while (left-- > 0) await subject!.append(next(each))
    }
    await Promise.all(Array.from({ length: inFlight }, line))
    return rate(appends * each, beganMs)
  },

  /** Resolves with entries per second, from the call to the last entry. */
  async follow(entries: number): Promise<number> {
    collectGarbage({ type: 'major' })
    const beganMs = performance.now()
    await subject!.follow(entries, checker())
    return rate(entries, beganMs)
  },

  /** The latency of one append after the other, until it is kept. */
  async appendLatency(entries: number): Promise<Latency> {
    return await latency(entries, async () => {
      await subject!.append(next(1))
    })
  },

  /** The latency of one entry after the other, from its append until a follower in another handle has it. */
  async seenLatency(entries: number): Promise<Latency> {
    await using other = await subject!.again()
    const check = checker()
    let arrived = 0
    let seen = Promise.withResolvers<void>()
    const following = other.follow(appended + WARM_UPS + entries, (payload) => {
      check(payload)
      if (++arrived === appended) seen.resolve()
    })
    const measuring = async () => {
      if (arrived < appended) await seen.promise
      return await latency(entries, async () => {
        seen = Promise.withResolvers()
        await Promise.all([subject!.append(next(1)), seen.promise])
      })
    }
    const [measured] = await Promise.all([measuring(), following])
    return measured
  },

  async close(): Promise<void> {
    await subject?.[Symbol.asyncDispose]()
    subject = undefined
  },
}

export type SideMethods = typeof methods

/** A loop, because `Array.from` takes 0.3 µs for an array of one. The baseline would call it once for a thousand. */
function next(count: number): Uint8Array[] {
  const payloads: Uint8Array[] = []
  for (let n = 0; n < count; n++) payloads.push(PAYLOADS[appended++ % PAYLOADS.length]!)
  return payloads
}

/** Throws unless the payloads come whole and in order. */
function checker(): (payload: Uint8Array) => void {
  let count = 0
  return (payload) => {
    if (payload[0] !== count % PAYLOADS.length || payload.byteLength !== PAYLOAD_BYTES)
      throw new Error(`entry ${count} is another than was appended`)
    count++
  }
}

async function latency(count: number, once: () => Promise<void>): Promise<Latency> {
  const tookMs: number[] = []
  for (let n = 0; n < WARM_UPS + count; n++) {
    const beganMs = performance.now()
    await once()
    if (n >= WARM_UPS) tookMs.push(performance.now() - beganMs)
  }
  tookMs.sort((a, b) => a - b)
  const at = (part: number) => tookMs[Math.floor((count - 1) * part)]!
  return { medianMs: at(0.5), p99Ms: at(0.99) }
}

function rate(entries: number, beganMs: number): number {
  return (entries * 1_000) / (performance.now() - beganMs)
}

serveCalls(methods, methods.close)
