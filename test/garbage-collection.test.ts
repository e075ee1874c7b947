import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

const MODULE = new URL('../src/garbage-collection.ts', import.meta.url).href

/** How often all garbage is collected while short-lived buffers of 2 GiB are made beside a heap that stands still. */
function collections(tuned: boolean): number {
  const program = `
    import { PerformanceObserver, constants } from 'node:perf_hooks'
    import { setTimeout } from 'node:timers/promises'
    import { tuneGarbageCollection } from ${JSON.stringify(MODULE)}
    let major = 0
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) major++
    }).observe({ entryTypes: ['gc'] })
    if (${tuned} && !tuneGarbageCollection()) throw new Error('it is not known to help here')
    const held = Array.from({ length: 1_000_000 }, (_, n) => ({ n }))
    for (let n = 0; n < 32_768; n++) {
      Buffer.allocUnsafeSlow(65_536)
      if (n % 256 === 0) await setTimeout(0)
    }
    console.log(major, held.length)`
  const args = ['--input-type=module', '--eval', program]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }).split(' ')[0])
}

test('buffers that come and go make V8 collect all garbage less often', () => {
  expect(collections(true)).toBeLessThan(collections(false) / 2)
})
