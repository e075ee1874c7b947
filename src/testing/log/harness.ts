import type { LogBackend } from '../../log/log.ts'
import type { NewMessage } from '../../message.ts'

/** What not every place can do, or suffer: methods of `LogPlaceUnderTest`, and `Log.prune`. */
export type Ability = 'recreate' | 'save' | 'cutOff' | 'publish' | 'prune'

/**
 * Makes the places in which a backend is tested.
 *
 * @example
 * ```ts
 * const harness: LogHarness = {
 *   lacks: { cutOff: 'a folder has no servers' },
 *   async make() {
 *     const folder = await mkdtemp(join(tmpdir(), 'log-'))
 *     const path = join(folder, 'log')
 *     return {
 *       backend: filesLog({ path, maxEntryBytes: 100_000 }),
 *       reopen: () => filesLog({ path, maxEntryBytes: 100_000 }),
 *       recreate: () => rm(path, { recursive: true }),
 *       async save() {
 *         await cp(path, `${path}.copy`, { recursive: true })
 *         return async () => {
 *           await rm(path, { recursive: true })
 *           await rename(`${path}.copy`, path)
 *         }
 *       },
 *       dispose: () => rm(folder, { recursive: true }),
 *     }
 *   },
 * }
 * ```
 */
export interface LogHarness {
  /** A new place, for one test. No log has been opened there yet. */
  make(): Promise<LogPlaceUnderTest>
  /**
   * What places cannot do, each with the reason. The tests that need it are listed with that as `skip`. A place
   * that neither has a method nor names it here fails the tests that need it. Default: none.
   */
  readonly lacks?: Readonly<Partial<Record<Ability, string>>>
  /**
   * For a log that is a stream which others write too (`Log.hasMessages`): the subject on which the tests
   * publish their commands. Default: the log is Anchorage's own.
   */
  readonly messages?: { readonly subject: string }
}

/** The place of one test's log, and the accidents that it can suffer there. */
export interface LogPlaceUnderTest {
  /**
   * A place where no log has been opened yet. Make its `maxEntryBytes` about 100,000: tests append entries of
   * that size, up to 400 of them.
   */
  readonly backend: LogBackend
  /** The same place, as another process would open it. */
  reopen(): LogBackend
  /**
   * Delete the log, while handles are open. It may be made again at once, for `logInit()`, or by whoever opens
   * it next. Handles of the deleted one then reject with `EpochChanged`.
   */
  recreate?(): Promise<void>
  /**
   * Keep a copy of the log as it is now. The returned function puts the log back to that copy, while handles
   * are open: as an operator restores a backup, or as servers that lost their newest writes come back.
   */
  save?(): Promise<() => Promise<void>>
  /** Keep every handle from the log's servers, until the returned function is called. */
  cutOff?(): Promise<() => Promise<void>>
  /** Write a message into the stream, as a program does that knows nothing of Anchorage. */
  publish?(message: NewMessage, payload: Uint8Array): Promise<void>
  /** Remove everything. It is called once, after every handle was closed. */
  dispose(): Promise<void>
}

/**
 * One test of the contract of a log, for any test runner. It has a name that no other has, and it needs no
 * other to run before or after it.
 */
export interface ConformanceTest {
  /** The group, a colon, and what is tested. */
  readonly name: string
  /** Which part of the contract it is of, such as `pruning`. */
  readonly group: string
  /** What `Log`, `LogBackend` or `PresenceStore` promise, and a backend that fails the test breaks. */
  readonly promise: string
  /** Why it cannot run on this harness; undefined if it can. */
  readonly skip?: string
  /**
   * Make a place, run the test there, close every handle and dispose of the place. Rejects with `LogFault`.
   */
  run(): Promise<void>
}

/** Options of `logConformance`. */
export interface LogConformanceOptions {
  /**
   * How long one test may take, in milliseconds, and how long its end may. A test that takes longer rejects,
   * and says what it waited for. Default: 60,000.
   */
  readonly timeoutMs?: number
}
