import { sameBytes } from '../../bytes.ts'
import type { Bench, Reference } from './bench.ts'
import { inForeignTime } from './foreign-time.ts'
import { type MachineCheck, MachineFault } from './machine-fault.ts'
import { placeOf } from './reference-run.ts'
import type { Step } from './script.ts'
import { compareStates } from './state.ts'
import { compareOutcomes, type Outcome, type Subject } from './subject.ts'

export interface TwinInit {
  readonly check: MachineCheck
  /** What differs, if something does: "on two instances". */
  readonly what: string
  /** The place at which the twin is already. */
  readonly from: number
  readonly apply: (step: Step) => Outcome
}

/** Applies the rest of the commands to a twin of the first instance, and compares all that there is to compare. */
export async function compareTwins(
  { script }: Bench,
  { outcomes, states }: Reference,
  twin: Subject,
  { check, what, from, apply }: TwinInit,
): Promise<void> {
  let at = from
  for (const place of script.places) {
    if (place < from) continue
    for (const step of script.between(at, place)) {
      const seen = { command: step.number, bytes: step.command }
      compareOutcomes(check, seen, `${what}, the results differ`, outcomes[step.number]!, apply(step))
    }
    const seen = placeOf(script, at, place)
    at = place
    compareStates(check, seen, `${what}, the states differ`, states.get(place)!, await twin.state(seen))
  }
}

/** A second instance does the same as the first, later, and by other clocks. */
export async function checkDeterminism(bench: Bench, reference: Reference): Promise<void> {
  const twin = await bench.subject('determinism', { call: inForeignTime })
  await compareTwins(bench, reference, twin, {
    check: 'determinism',
    what: 'on two instances',
    from: 0,
    apply: (step) => twin.apply(step),
  })
}

/** Nothing is kept of a buffer that a command was in, and nothing changed in it. */
export async function checkViews(bench: Bench, reference: Reference): Promise<void> {
  const twin = await bench.subject('views')
  const longest = Math.max(...bench.script.steps.map(({ command }) => command.length))
  const buffer = new Uint8Array(longest + OFFSETS)
  const apply = (step: Step) => {
    const view = buffer.subarray(step.number % OFFSETS).subarray(0, step.command.length)
    view.set(step.command)
    const outcome = twin.apply(step, view)
    if (!sameBytes(view, step.command)) {
      const place = { command: step.number, bytes: step.command }
      throw new MachineFault('views', 'apply() changed the bytes of the command', place)
    }
    for (const [at, byte] of buffer.entries()) buffer[at] = ~byte
    return outcome
  }
  const what = 'once the buffer of a command is used again'
  await compareTwins(bench, reference, twin, { check: 'views', what, from: 0, apply })
}

/** Where commands begin in the buffer, so that one is not always where the one before was. */
const OFFSETS = 7
