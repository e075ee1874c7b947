import type { Bench, Reference } from './bench.ts'
import type { FaultPlace } from './machine-fault.ts'
import type { Script } from './script.ts'
import type { State } from './state.ts'
import type { Outcome } from './subject.ts'

/** Applies all commands to a first instance, and reads its state at each place in all the ways there are. */
export async function referenceRun(bench: Bench): Promise<Reference> {
  const { script } = bench
  // What `apply` throws here, it throws for a command that was meant to be one.
  const subject = await bench.subject('malformed')
  const outcomes: Outcome[] = []
  const states = new Map<number, State>()
  let from = 0
  for (const place of script.places) {
    for (const step of script.between(from, place)) outcomes.push(subject.apply(step))
    states.set(place, await subject.state(placeAfter(place)))
    from = place
  }
  return { outcomes, states }
}

/** Where it is seen what commands did to a state, since it was last looked at. */
export function placeOf({ steps }: Script, from: number, place: number): FaultPlace {
  if (from === place) return placeAfter(place)
  const command = place - 1
  return from === command ? { command, bytes: steps[command]!.command } : { command, since: from }
}

/** Where a state is seen after so many commands. */
export function placeAfter(place: number): { readonly command?: number } {
  return place === 0 ? {} : { command: place - 1 }
}
