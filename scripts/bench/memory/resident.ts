import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { collectGarbage } from '../runner.ts'

/** The resident memory of a process. The peak is the kernel's own (Linux), so it misses no short one. */

const STATUS = '/proc/self/status'
const CLEAR_REFS = '/proc/self/clear_refs'
/** Written to that file, it restarts the peak from the resident memory now. */
const RESET_PEAK = '5'
const KIB = 1024
/** Time between two looks at the memory, in milliseconds: the allocator gives back in its own time. */
const POLL_INTERVAL_MS = 250
/** The memory is settled after this many looks without a noticeable decrease. */
const LOOKS = 6
/** The most looks, if the memory does not settle. */
const LOOKS_MAX = 80
/** A decrease by less than this part does not count. */
const SETTLED_PART = 0.005

/**
 * Like `settledBytes`, for a process that goes on resting. V8 keeps a pool of the heap's free pages until then.
 */
export async function restedBytes(): Promise<number> {
  collectGarbage({ type: 'major', flavor: 'last-resort' })
  return await settledBytes()
}

/** What stays when all garbage is collected and the allocator has given back what it will. */
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

/** The peak since the process began, or since `resetPeak`. */
export function peakBytes(): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(STATUS, 'utf8'))!
  return Number(kib) * KIB
}
