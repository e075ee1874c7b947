import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { RecordedEntry } from '../log.ts'
import type { Scene } from '../scene.ts'

/** The longest pause between two stamps that counts as time, in milliseconds: a week. */
const WEEK_MS = 7 * 86_400_000
/** A leader looks every second whether something is due, in milliseconds, and then the log needs its time. */
const LATE_MS = 2_000
/** How far the clocks of two machines that are right may be apart, in milliseconds. */
const SKEW_MS = 1_000
/** Timestamps do not tell a pause from the way to another clock: clocks that are apart count a few times. */
const APART = 6
/** How far a process's clock may go apart from the world's: plans draw 2 percent at most. */
const DRIFT = 0.03

/**
 * Machine time passes as time does, whatever the wall clocks say: no step of one makes it jump. Where nobody
 * writes it goes on all the same, so that keys die on time.
 */
export class TimeToLive implements Invariant {
  readonly #scene: Scene
  /** How far steps of wall clocks may have moved machine time: a step that is a pause counts as one. */
  readonly #steppedMs: number
  readonly #isStepped: boolean
  /** Of clocks that are apart by more, each reading may be taken for another one. */
  readonly #skewMs: number
  readonly #isOther: boolean
  #first: { readonly timeMs: number; readonly atMs: number } | undefined
  /** When the newest entry was committed, and machine time and the world's when all trouble had ended. */
  #newestMs = 0
  #settled = { timeMs: 0, atMs: 0 }

  constructor(scene: Scene) {
    this.#scene = scene
    const { steps } = scene.plan
    const stepsMs = steps.flatMap((step) => (step.do === 'step-wall' ? [Math.abs(step.byMs)] : []))
    this.#isStepped = stepsMs.length > 0
    this.#skewMs = SKEW_MS * (1 + stepsMs.length) + 1
    this.#steppedMs = stepsMs.reduce((sum, byMs) => (byMs > WEEK_MS ? sum : sum + byMs), 0)
    // Entries that are gone have moved time for those who had applied them.
    this.#isOther = steps.some((step) => step.do === 'rewind' || step.do === 'recreate')
  }

  committed({ index }: RecordedEntry): void {
    const { history, world } = this.#scene
    const { nowMs } = world
    const timeMs = history.timeMsAt(index) ?? 0
    this.#newestMs = nowMs
    this.#first ??= { timeMs, atMs: nowMs }
    if (this.#isOther) return
    const aheadMs = timeMs - this.#first.timeMs - (nowMs - this.#first.atMs)
    if (aheadMs > APART * (this.#steppedMs + this.#skewMs))
      throw broken(`machine time at ${index} is ${aheadMs} ms further than time has passed`)
  }

  settled(): void {
    const { history, world } = this.#scene
    this.#settled = { timeMs: history.timeMsAt(history.newest) ?? 0, atMs: world.nowMs }
  }

  /** Nobody has written for a while: only ticks move time, and only where something is due. */
  idle(): void {
    const { history, world } = this.#scene
    const { dueMs } = history
    const timeMs = history.timeMsAt(history.newest)
    if (dueMs === undefined || timeMs === undefined) return
    const passed = (sinceMs: number) => (world.nowMs - sinceMs) * (1 - DRIFT)
    const unmovedMs = timeMs + passed(Math.max(this.#newestMs, this.#settled.atMs)) - dueMs
    if (unmovedMs > LATE_MS)
      throw broken(`something is due for ${unmovedMs} ms, and nobody moves machine time, which is ${timeMs}`)
    // The time until the first stamp of a clock that was set is not known to machine time.
    if (this.#isStepped) return
    const lateMs = this.#settled.timeMs + passed(this.#settled.atMs) - SKEW_MS - dueMs
    if (lateMs > LATE_MS)
      throw broken(`something is due for ${lateMs} ms, and machine time has come to ${timeMs} only`)
  }
}

function broken(message: string): PromiseBroken {
  return new PromiseBroken('any clock', message)
}
