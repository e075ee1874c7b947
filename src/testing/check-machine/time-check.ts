import type { Bench, Reference } from './bench.ts'
import { inForeignTime } from './foreign-time.ts'
import { MachineFault } from './machine-fault.ts'
import { placeAfter } from './reference-run.ts'
import { compareItems, TIMES } from './state.ts'
import type { Subject } from './subject.ts'

/** How many times something may die after the last command before the check ends. */
const DEATHS = 64

/** What dies with time dies on all instances alike, when it is due, and in `advance` alone. */
export async function checkTime(bench: Bench, reference: Reference): Promise<void> {
  const { script } = bench
  const subject = await bench.subject('time')
  const { machine } = subject
  if (machine.advance === undefined && !('dueMs' in machine)) return
  const twin = await bench.subject('time', { call: inForeignTime })
  for (const step of script.steps) {
    subject.apply(step)
    twin.apply(step)
    if (subject.dueMs === twin.dueMs) continue
    const place = { command: step.number, bytes: step.command }
    throw new MachineFault('time', `dueMs is ${subject.dueMs} in one and ${twin.dueMs} in the other`, place)
  }
  const joiner = await bench.subject('time')
  const { chunks } = reference.states.get(script.length)!
  const seen = placeAfter(script.length)
  const installation = joiner.install(seen)
  joiner.add(installation, chunks, seen)
  await joiner.commit(installation, script.timeAt(script.length), seen)
  const endMs = new Deaths(subject, [twin, joiner], script.timeAt(script.length)).run()

  const leap = await bench.subject('time')
  for (const step of script.steps) leap.apply(step)
  leap.advance(endMs, seen)
  const what = `advance(${endMs}) at once, and the way there in steps, differ`
  compareItems('time', seen, what, subject.items(seen), leap.items(seen))
}

/** Moves machine time from one death to the next. */
class Deaths {
  readonly #subject: Subject
  readonly #others: readonly Subject[]
  #timeMs: number

  constructor(subject: Subject, others: readonly Subject[], timeMs: number) {
    this.#subject = subject
    this.#others = others
    this.#timeMs = timeMs
  }

  /** Returns the machine time at which it ended. */
  run(): number {
    for (let n = 0; n < DEATHS; n++) {
      const { dueMs } = this.#subject
      if (dueMs === undefined) break
      if (dueMs <= this.#timeMs) {
        throw new MachineFault('time', `after advance(${this.#timeMs}), dueMs is ${dueMs}`)
      }
      this.#die(dueMs)
    }
    return this.#timeMs
  }

  #die(dueMs: number): void {
    const before = this.#subject.items({})
    this.#advance(Math.max(this.#timeMs, dueMs - 1))
    const early = `dueMs was ${dueMs}, and advance(${dueMs - 1}) changed the state`
    compareItems('time', {}, early, before, this.#subject.items({}), TIMES)
    const dues = this.#others.map((other) => other.dueMs)
    this.#advance(dueMs)
    const items = this.#subject.items({})
    const isChanged = items.length !== before.length
    for (const [n, other] of this.#others.entries()) {
      compareItems('time', {}, `after advance(${dueMs}), two instances differ`, items, other.items({}))
      const due = dues[n]
      if (isChanged && (due === undefined || due > dueMs)) {
        throw new MachineFault('time', `something died at ${dueMs}, and after an install dueMs was ${due}`)
      }
    }
  }

  #advance(timeMs: number): void {
    this.#timeMs = timeMs
    for (const subject of [this.#subject, ...this.#others]) subject.advance(timeMs, {})
  }
}
