import { expect, test } from 'vitest'
import { crowd } from '../../scripts/bench/crowd.ts'

const MIB = 1024 * 1024

test('64 replicas that join one provider at once are all in sync in the end, and cost it little', async () => {
  const { items, peers, baselineBytes, peakBytes, longest, delayMs } = await crowd(16 * MIB, 64, 2)
  expect(items).toEqual(Array(64).fill(16 * 1024))
  expect(peers).toBe(64)
  expect((peakBytes - baselineBytes) / MIB).toBeLessThan(128)
  expect(longest.cpuMs, longest.what).toBeLessThan(50)
  console.info(
    `provider: ${Math.round((peakBytes - baselineBytes) / MIB)} MiB above its ${Math.round(baselineBytes / MIB)} MiB;`,
    `longest stretch of its own work ${longest.cpuMs.toFixed(1)} ms (${longest.what});`,
    `event loop late by ${delayMs.p50.toFixed(1)} ms (median), ${delayMs.p99.toFixed(1)} (p99), ${delayMs.max.toFixed(1)} at most`,
  )
})
