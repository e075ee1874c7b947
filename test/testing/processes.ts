import { readFileSync } from 'node:fs'
import { expect, vi } from 'vitest'

/** Those of `pids` that still run. One that has ended and only waits to be collected does not. */
export function running(pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    try {
      process.kill(pid, 0)
      return (
        process.platform !== 'linux' || !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
      )
    } catch {
      return false
    }
  })
}

/** Nobody tells of the end of a process that is not one's own child: look again and again. */
export async function allGone(pids: readonly number[]): Promise<void> {
  await vi.waitFor(() => expect(running(pids)).toEqual([]), { timeout: 15_000, interval: 50 })
}
