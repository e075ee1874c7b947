import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

const MODULE = new URL('../src/garbage-collection.ts', import.meta.url).href

const MIB = 1024 * 1024

interface Garbage {
  /** How often all of it was collected. */
  readonly collections: number
  /** What buffers took at most. */
  readonly peakBytes: number
}

/** What becomes of short-lived buffers of 2 GiB that are made beside a heap of so many objects that stands still. */
function garbage(tuned: boolean, objects: number): Garbage {
  const program = `
    import { PerformanceObserver, constants } from 'node:perf_hooks'
    import { setTimeout } from 'node:timers/promises'
    import { tuneGarbageCollection } from ${JSON.stringify(MODULE)}
    let collections = 0
    let peakBytes = 0
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) collections++
    }).observe({ entryTypes: ['gc'] })
    if (${tuned} && !tuneGarbageCollection()) throw new Error('it is not known to help here')
    const held = Array.from({ length: ${objects} }, (_, n) => ({ n }))
    for (let n = 0; n < 32_768; n++) {
      Buffer.allocUnsafeSlow(65_536)
      peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers)
      if (n % 256 === 0) await setTimeout(0)
    }
    console.log(JSON.stringify({ collections, peakBytes, objects: held.length }))`
  const args = ['--input-type=module', '--eval', program]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

test('buffers that come and go make V8 collect all garbage less often', () => {
  expect(garbage(true, 1_000_000).collections).toBeLessThan(garbage(false, 1_000_000).collections / 2)
})

test('buffers that are gone take little memory, however small the heap beside them', () => {
  // Threads of V8's own free them: on a busy machine later, so that the least of some runs counts.
  const peaks = Array.from({ length: 4 }, () => garbage(true, 0).peakBytes / MIB)
  expect(Math.min(...peaks)).toBeLessThan(64)
})
