import type { Bench, Reference } from './bench.ts'
import { inForeignTime } from './foreign-time.ts'
import { placeAfter, placeOf } from './reference-run.ts'
import type { Script } from './script.ts'
import { compareItems, compareStates, TIMES } from './state.ts'
import { compareOutcomes, type Subject } from './subject.ts'

/** At how many places a group goes over to another version. */
const PLACES = 5

export interface UpgradeInit {
  /** Where the version that a group goes over from is active. */
  readonly bench: Bench
  /** What was done with it. */
  readonly reference: Reference
  readonly from: string
  readonly to: string
  /** Commands for afterwards. */
  readonly script: Script
}

/** From one version to another: the same of the same state, wherever that came from, and as good as any. */
export class UpgradeCheck {
  readonly #init: UpgradeInit
  readonly #what: string

  constructor(init: UpgradeInit) {
    this.#init = init
    this.#what = `after upgrade(${init.from}, ${init.to})`
  }

  async run(): Promise<void> {
    const { script } = this.#init.bench
    for (const place of script.some(PLACES)) await this.#upgradeAt(place)
  }

  async #upgradeAt(place: number): Promise<void> {
    const { bench, reference, to, script } = this.#init
    const seen = placeAfter(place)
    const first = await this.#applied(place)
    const before = first.capture(seen)
    const others = [
      { subject: await this.#applied(place, inForeignTime), what: 'on two instances' },
      { subject: await this.#installed(place), what: 'with and without an install before' },
    ]
    first.upgrade(to, seen)
    const upgraded = await first.state(seen)
    for (const { subject, what } of others) {
      subject.upgrade(to, seen)
      compareStates(
        'upgrade',
        seen,
        `${this.#what}, ${what}, the states differ`,
        upgraded,
        await subject.state(seen),
      )
    }
    const late = await bench.with({ signature: to }).subject('upgrade')
    const installation = late.install(seen)
    late.add(installation, upgraded.chunks, seen)
    await late.commit(installation, bench.script.timeAt(place), seen)
    others.push({ subject: late, what: 'with and without an install after it' })

    for (const step of script.after(place, bench.script.timeAt(place))) {
      const outcome = first.apply(step)
      for (const { subject, what } of others) {
        const at = { command: step.number, bytes: step.command }
        compareOutcomes(
          'upgrade',
          at,
          `${this.#what}, ${what}, the results differ`,
          outcome,
          subject.apply(step),
        )
      }
    }
    const end = first.items({})
    for (const { subject, what } of others) {
      compareItems(
        'upgrade',
        {},
        `${this.#what} and more commands, ${what}, the states differ`,
        end,
        subject.items({}),
      )
    }
    const { items } = reference.states.get(place)!
    const isolated = `a snapshot of before the upgrade was read ${this.#what}`
    compareItems('upgrade', seen, isolated, items, first.read(before, seen), TIMES)
    first.release(before, seen)
  }

  async #applied(place: number, call?: <T>(work: () => T) => T): Promise<Subject> {
    const { bench } = this.#init
    const subject = await bench.subject('upgrade', call && { call })
    for (const step of bench.script.between(0, place)) subject.apply(step)
    return subject
  }

  async #installed(place: number): Promise<Subject> {
    const { bench, reference } = this.#init
    const seen = placeAfter(place)
    const subject = await bench.subject('upgrade')
    const installation = subject.install(seen)
    subject.add(installation, reference.states.get(place)!.chunks, seen)
    await subject.commit(installation, bench.script.timeAt(place), seen)
    return subject
  }
}

/**
 * While an older version is active, the machine has the states that the machine of that version has.
 *
 * @param bench of the machine of that version
 */
export async function checkLikeOlder(bench: Bench, { states }: Reference): Promise<void> {
  const { script } = bench
  const subject = await bench.subject('upgrade')
  if (subject.machine.signature !== bench.signature) {
    throw new RangeError(
      `the factory of the older version ${bench.signature} made a machine of ${subject.machine.signature}`,
    )
  }
  let from = 0
  for (const place of script.places) {
    for (const step of script.between(from, place)) subject.apply(step)
    const seen = placeOf(script, from, place)
    from = place
    const what = 'the machine of that version and the newest one differ'
    compareStates('upgrade', seen, what, await subject.state(seen), states.get(place)!)
  }
}
