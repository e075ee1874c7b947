import { describe, test } from 'vitest'
import type { LogHarness } from '../../src/testing/log/harness.ts'
import { logConformance } from '../../src/testing/log/index.ts'

/** How long a test may take, and then its end, in milliseconds. Three servers are slow to start again. */
const TIMEOUT_MS = 100_000
/** What Vitest allows for both, in milliseconds. */
const LIMIT_MS = 2 * TIMEOUT_MS + 5_000

/** The contract of every log, for any backend. */
export function conformance(name: string, harness: LogHarness): void {
  describe(name, () => {
    for (const { name, skip, run } of logConformance(harness, { timeoutMs: TIMEOUT_MS })) {
      if (skip === undefined) test(name, { timeout: LIMIT_MS }, run)
      else test.skip(`${name} (${skip})`, run)
    }
  })
}
