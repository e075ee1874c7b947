/**
 * The tests of the contract of a log, for a backend of one's own: any test runner can run them.
 *
 * @example
 * ```ts
 * import test from 'node:test'
 * import { logConformance } from 'anchorage/testing/log'
 * import { harness } from './files-log-harness.ts'
 *
 * for (const { name, skip, run } of logConformance(harness)) test(name, { skip }, run)
 * ```
 *
 * @packageDocumentation
 */

export { logConformance } from './conformance.ts'
export { logInit } from './entries.ts'
export type {
  Ability,
  ConformanceTest,
  LogConformanceOptions,
  LogHarness,
  LogPlaceUnderTest,
} from './harness.ts'
export { LogFault } from './log-fault.ts'
