import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { collectGarbage } from '../runner.ts'

/** What a process has resident. The peak is the kernel's own (Linux): nothing is too short for it. */

const STATUS = '/proc/self/status'
const CLEAR_REFS = '/proc/self/clear_refs'
/** Written there it makes the peak begin anew with what is resident now. */
const RESET_PEAK = '5'
const KIB = 1024
/** The allocator gives back in its own time: until nothing more was given back in so many looks, but for so small a part. */
const POLL_INTERVAL_MS = 250
const LOOKS = 6
const LOOKS_MAX = 80
const SETTLED_PART = 0.005

/** What stays when all garbage is collected, and all was given back that will be. */
export async function settledBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY
  let since = 0
  for (let look = 0; since < LOOKS && look < LOOKS_MAX; look++) {
    collectGarbage({ type: 'major' })
    await delay(POLL_INTERVAL_MS)
    const bytes = process.memoryUsage.rss()
    since = bytes < least * (1 - SETTLED_PART) ? 0 : since + 1
    least = Math.min(least, bytes)
  }
  return least
}

export function resetPeak(): void {
  writeFileSync(CLEAR_REFS, RESET_PEAK)
}

/** The most since the process began, or since `resetPeak`. */
export function peakBytes(): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(STATUS, 'utf8'))!
  return Number(kib) * KIB
}
