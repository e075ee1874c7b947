import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

const MODULE = new URL('../src/garbage-collection.ts', import.meta.url).href

interface Collections {
  /** Of all garbage, */
  readonly major: number
  /** and of the young. */
  readonly minor: number
}

/** How often garbage is collected while short-lived buffers of 2 GiB are made beside a heap of so many objects that stands still. */
function collections(tuned: boolean, objects: number): Collections {
  const program = `
    import { PerformanceObserver, constants } from 'node:perf_hooks'
    import { setTimeout } from 'node:timers/promises'
    import { tuneGarbageCollection } from ${JSON.stringify(MODULE)}
    let major = 0
    let minor = 0
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) {
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) major++
        if (detail.kind === constants.NODE_PERFORMANCE_GC_MINOR) minor++
      }
    }).observe({ entryTypes: ['gc'] })
    if (${tuned} && !tuneGarbageCollection()) throw new Error('it is not known to help here')
    const held = Array.from({ length: ${objects} }, (_, n) => ({ n }))
    for (let n = 0; n < 32_768; n++) {
      Buffer.allocUnsafeSlow(65_536)
      if (n % 256 === 0) await setTimeout(0)
    }
    console.log(JSON.stringify({ major, minor, objects: held.length }))`
  const args = ['--input-type=module', '--eval', program]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

test('buffers that come and go make V8 collect all garbage less often', () => {
  expect(collections(true, 1_000_000).major).toBeLessThan(collections(false, 1_000_000).major / 2)
})

test('young garbage is collected after each 32 MiB of buffers', () => {
  // Of 2 GiB, but for what is made before the last is noticed. How soon another thread frees it depends on how busy the machine is.
  expect(collections(true, 0).minor).toBeGreaterThan(48)
})
