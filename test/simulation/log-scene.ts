import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Cursor, Log, LogEntry, LogInit } from '../../src/log/log.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { SimulatedLog, type SimulatedLogOptions } from '../../src/testing/simulation/log.ts'
import { World } from '../../src/testing/simulation/world.ts'
import { init, text } from '../log/entries.ts'

/** Longer than anything waits for a log, in milliseconds. */
const PATIENCE_MS = 200_000

/** What became of a promise, and when. */
export interface Outcome {
  readonly value?: unknown
  readonly error?: unknown
  readonly atMs: number
}

/** A world with a log in it, which goes on only when a test says so. */
export class LogScene {
  readonly world: World
  readonly log: SimulatedLog
  readonly #lives = new Map<string, number>()

  constructor(options: Partial<SimulatedLogOptions> = {}, seed = 1) {
    this.world = new World(seed)
    this.log = new SimulatedLog(this.world, { kind: 'service', ...options })
  }

  life(node: string): Life {
    const number = (this.#lives.get(node) ?? 0) + 1
    this.#lives.set(node, number)
    return new Life(this.world, `${node}#${number}`)
  }

  async open(node = 'a', overrides: Partial<LogInit> = {}): Promise<{ life: Life; log: Log }> {
    const life = this.life(node)
    const opening = this.log.backendFor(life, node).open(init({ author: node, ...overrides }))
    const { value, error } = await this.outcome(opening)
    if (error !== undefined) throw error
    return { life, log: value as Log }
  }

  /** Let so much time go by. */
  async pass(ms: number): Promise<void> {
    const untilMs = this.world.nowMs + ms
    // What was called just now is on its way first.
    await nextTurn()
    while (await this.world.step(untilMs));
  }

  /** Go on until the promise has settled. */
  async outcome(promise: Promise<unknown>): Promise<Outcome> {
    const outcome = this.watch(promise)
    const untilMs = this.world.nowMs + PATIENCE_MS
    await nextTurn()
    while (outcome.now === undefined && (await this.world.step(untilMs)));
    if (outcome.now === undefined) throw new Error('nothing is due, and the promise has not settled')
    return outcome.now
  }

  /** What becomes of the promise while the test goes on. */
  watch(promise: Promise<unknown>): { now: Outcome | undefined } {
    const outcome: { now: Outcome | undefined } = { now: undefined }
    promise.then(
      (value) => {
        outcome.now = { value, atMs: this.world.nowMs }
      },
      (error) => {
        outcome.now = { error, atMs: this.world.nowMs }
      },
    )
    return outcome
  }

  /** Collects what a handle follows, and when each entry came. */
  follow(log: Log, cursor: Cursor = { index: 0 }, signal?: AbortSignal): Followed {
    const followed: Followed = { texts: [], atMs: [], entries: [], end: undefined }
    const following = (async () => {
      for await (const { entries } of log.follow(cursor, { ...(signal && { signal }) }))
        for (const entry of entries) {
          followed.texts.push(text(entry))
          followed.entries.push(entry)
          followed.atMs.push(this.world.nowMs)
        }
    })()
    const watched = this.watch(following)
    Object.defineProperty(followed, 'end', { get: () => watched.now })
    return followed
  }
}

export interface Followed {
  readonly texts: string[]
  readonly entries: LogEntry[]
  readonly atMs: number[]
  readonly end: Outcome | undefined
}
