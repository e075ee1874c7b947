import type { Chance } from '../simulation/chance.ts'
import type { Bench } from './bench.ts'
import { inForeignTime } from './foreign-time.ts'
import type { FaultPlace } from './machine-fault.ts'
import { EPOCH, type Step, spread } from './script.ts'
import { compareItems, TIMES } from './state.ts'
import { compareOutcomes, type Subject } from './subject.ts'

/** From how many commands mutants are made, at most. */
const SOURCES = 24
/** A command of at most this many bytes is cut at each of them. */
const PREFIXES = 12
const FLIPS = 8

export interface MutantCounts {
  /** How many were commands all the same. */
  readonly applied: number
  readonly malformed: number
}

/**
 * Commands that are not what they should be: cut off, with bytes that changed, empty. A machine may take them, if
 * all instances take them alike, or throw `MalformedCommand`, and then be as it was.
 */
export async function checkMalformed(bench: Bench, chance: Chance): Promise<MutantCounts> {
  return await new MalformedCheck(
    bench,
    chance,
    await bench.subject('malformed'),
    await bench.subject('malformed', { call: inForeignTime }),
    await bench.subject('malformed'),
  ).run()
}

class MalformedCheck {
  readonly #bench: Bench
  readonly #chance: Chance
  readonly #subject: Subject
  /** Is given the same. */
  readonly #twin: Subject
  /** Is given what the subject took, and not what it did not. */
  readonly #unharmed: Subject
  #index = 0
  #applied = 0
  #malformed = 0

  constructor(bench: Bench, chance: Chance, subject: Subject, twin: Subject, unharmed: Subject) {
    this.#bench = bench
    this.#chance = chance
    this.#subject = subject
    this.#twin = twin
    this.#unharmed = unharmed
  }

  async run(): Promise<MutantCounts> {
    const { steps } = this.#bench.script
    const sources = new Set(spread(steps.length - 1, SOURCES - 1))
    for (const step of steps) {
      if (sources.has(step.number)) this.#tryMutants(step)
      this.#apply(step, step.command)
    }
    return { applied: this.#applied, malformed: this.#malformed }
  }

  #tryMutants(step: Step): void {
    for (const subject of [this.#subject, this.#twin, this.#unharmed]) {
      subject.advance(step.context.timeMs, { command: step.number })
    }
    let before = this.#subject.items({ command: step.number })
    for (const mutant of mutantsOf(step.command, this.#chance)) {
      const place = { command: step.number, bytes: mutant }
      if (this.#apply(step, mutant) === 'applied') {
        this.#applied++
        before = this.#subject.items(place)
        continue
      }
      this.#malformed++
      const what = 'apply() threw MalformedCommand, and changed the state'
      compareItems('malformed', place, what, before, this.#subject.items(place), TIMES)
    }
    const place = { command: step.number }
    compareItems('malformed', place, 'two instances differ after it', before, this.#twin.items(place))
  }

  #apply({ number, context: { timeMs } }: Step, command: Uint8Array): 'applied' | 'malformed' {
    const place: FaultPlace = { command: number, bytes: command }
    const context = { position: { epoch: EPOCH, index: ++this.#index }, timeMs }
    const outcome = applyTo(this.#subject, command, context, place)
    const twins = applyTo(this.#twin, command, context, place)
    compareOutcomes('malformed', place, 'two instances differ', outcome, twins)
    if (outcome.type === 'malformed') return outcome.type
    const unharmed = applyTo(this.#unharmed, command, context, place)
    const what = 'an instance that was given malformed commands before, and one that was not, differ'
    compareOutcomes('malformed', place, what, unharmed, outcome)
    return outcome.type
  }
}

function applyTo(subject: Subject, command: Uint8Array, context: Step['context'], place: FaultPlace) {
  subject.advance(context.timeMs, place)
  return subject.applyNow(Uint8Array.from(command), context, place)
}

/** Empty, its prefixes, with bytes that changed, too long, and of other bytes altogether. */
function* mutantsOf(command: Uint8Array, chance: Chance): Generator<Uint8Array> {
  const { length } = command
  yield new Uint8Array()
  const prefixes =
    length <= PREFIXES
      ? Array.from({ length }, (_, n) => n)
      : [length - 1, ...Array.from({ length: PREFIXES - 1 }, () => chance.integer(1, length - 1))]
  for (const prefix of prefixes) yield command.slice(0, prefix)
  for (let n = 0; n < FLIPS && length > 0; n++) {
    const flipped = Uint8Array.from(command)
    const flips = chance.integer(1, 3)
    for (let flip = 0; flip < flips; flip++) flipped[chance.integer(0, length - 1)]! ^= chance.integer(1, 255)
    yield flipped
  }
  yield Uint8Array.from([...command, chance.integer(0, 255)])
  yield command.map(() => chance.integer(0, 255))
}
