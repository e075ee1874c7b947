import { checkInteger, checkMethods, TIMER_MS_MAX } from '../../bounds.ts'
import type { Chapter, Check } from './chapter.ts'
import { accidents } from './chapters/accidents.ts'
import { appending } from './chapters/appending.ts'
import { closing } from './chapters/closing.ts'
import { messages } from './chapters/messages.ts'
import { opening } from './chapters/opening.ts'
import { outages } from './chapters/outages.ts'
import { presences } from './chapters/presences.ts'
import { pruning } from './chapters/pruning.ts'
import { reading } from './chapters/reading.ts'
import { versions } from './chapters/versions.ts'
import type { ConformanceTest, LogConformanceOptions, LogHarness } from './harness.ts'
import { LogFault } from './log-fault.ts'
import { Scene } from './scene.ts'

/** Accidents come first, while a place has no history: restarted servers read all of it. */
const CHAPTERS: readonly Chapter[] = [
  accidents,
  outages,
  appending,
  opening,
  versions,
  reading,
  pruning,
  presences,
  messages,
  closing,
]

/** In milliseconds. A backend may be patient with its servers: `jetstreamLog` is, for 30 s. */
const TIMEOUT_MS_DEFAULT = 60_000

/**
 * The tests of the contract of a log, for a backend of one's own. They use `node:assert` alone, so any test
 * runner can run them. Each is independent of the others. Throws `RangeError` for a harness that is none.
 *
 * @example
 * ```ts
 * import test from 'node:test'
 * import { logConformance } from 'anchorage/testing/log'
 *
 * for (const { name, skip, run } of logConformance(harness)) test(name, { skip }, run)
 * ```
 */
export function logConformance(
  harness: LogHarness,
  { timeoutMs = TIMEOUT_MS_DEFAULT }: LogConformanceOptions = {},
): readonly ConformanceTest[] {
  checkMethods('harness', harness, ['make'])
  checkInteger('timeoutMs', timeoutMs, 1, TIMER_MS_MAX)
  return CHAPTERS.flatMap((chapter) =>
    chapter.checks.map((check) => new Trial(chapter, check, harness, timeoutMs)),
  )
}

class Trial implements ConformanceTest {
  readonly name: string
  readonly group: string
  readonly promise: string
  readonly skip?: string
  readonly run: () => Promise<void>

  constructor(chapter: Chapter, check: Check, harness: LogHarness, timeoutMs: number) {
    this.group = chapter.group
    this.name = `${chapter.group}: ${check.title}`
    this.promise = check.promise
    const skip = skipOf({ ...chapter, ...check }, harness)
    if (skip !== undefined) this.skip = skip
    // Test runners are given it apart from the test.
    this.run = () => this.#run(new Scene(harness), chapter, check, timeoutMs)
  }

  async #run(scene: Scene, chapter: Chapter, check: Check, timeoutMs: number): Promise<void> {
    const faults: unknown[] = []
    const attempt = async (what: string, work: () => Promise<void>) => {
      try {
        await within(
          timeoutMs,
          work,
          () => `${what} took more than ${timeoutMs} ms, waiting for ${scene.waits}`,
        )
      } catch (error) {
        faults.push(error)
      }
    }
    await attempt('the test', async () => {
      await scene.begin()
      await chapter.before?.(scene)
      await check.run(scene)
    })
    await attempt("the test's end", () => scene.end())
    if (faults.length > 0) throw new LogFault({ test: this.name, promise: this.promise }, faults[0])
  }
}

function skipOf(
  { needs, messages }: Pick<Check, 'needs' | 'messages'>,
  harness: LogHarness,
): string | undefined {
  if (messages === true && harness.messages === undefined) return "messages: the log is Anchorage's own"
  if (messages === false && harness.messages !== undefined) return 'messages: others write the log too'
  const lack = needs?.find((ability) => harness.lacks?.[ability] !== undefined)
  return lack === undefined ? undefined : `${lack}: ${harness.lacks?.[lack]}`
}

async function within(timeoutMs: number, work: () => Promise<void>, why: () => string): Promise<void> {
  const { promise: tooLong, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(why())), timeoutMs)
  try {
    await Promise.race([work(), tooLong])
  } finally {
    clearTimeout(timer)
  }
}
