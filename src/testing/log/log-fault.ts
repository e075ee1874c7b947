import { AssertionError } from 'node:assert'
import { AnchorageError } from '../../errors.ts'
import { asError } from '../../thrown.ts'

export interface LogFaultInit {
  /** The name of the test. */
  readonly test: string
  readonly promise: string
}

/**
 * A test of `logConformance` found that a backend breaks the contract. The message names the test, the promise
 * that was broken, and what was seen. `cause` is the error with its stack, which leads to the test's line.
 *
 * @example
 * ```ts
 * try {
 *   await test.run()
 * } catch (error) {
 *   if (error instanceof LogFault) console.log(error.promise)
 * }
 * ```
 */
export class LogFault extends AnchorageError {
  static override readonly code = 'LOG_FAULT'
  override readonly name = 'LogFault'
  /** The name of the test. */
  readonly test: string
  /** What the contract promises. */
  readonly promise: string
  /** What was seen, and what should have been, if it is a difference of values: test runners show it. */
  readonly actual?: unknown
  readonly expected?: unknown

  constructor({ test, promise }: LogFaultInit, cause: unknown) {
    const error = asError(cause)
    const isOurs = error instanceof AssertionError || error.name === 'Error'
    const seen = isOurs ? error.message : `${error.name}: ${error.message}`
    super(`${test}\npromised: ${promise}\nseen: ${seen}`, { cause })
    this.test = test
    this.promise = promise
    if (!('actual' in error && 'expected' in error)) return
    this.actual = error.actual
    this.expected = error.expected
  }
}
