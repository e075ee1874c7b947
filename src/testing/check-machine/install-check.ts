import type { Bench, Reference } from './bench.ts'
import { orFault } from './machine-fault.ts'
import { placeAfter } from './reference-run.ts'
import { compareItems, compareStates, TIMES } from './state.ts'
import type { Subject } from './subject.ts'
import { compareTwins } from './twin-checks.ts'

/** At how many places a state is installed. */
const PLACES = 6

/** A state that was installed is as good as one to which all commands were applied. */
export async function checkInstall(bench: Bench, reference: Reference): Promise<void> {
  for (const [n, place] of bench.script.some(PLACES).entries()) {
    const joiner = await bench.subject('install')
    await installInto(bench, reference, joiner, { place, isOld: n % 2 === 1 })
    await compareTwins(bench, reference, joiner, {
      check: 'install',
      what: `with the snapshot of ${place} commands installed`,
      from: place,
      apply: (step) => joiner.apply(step),
    })
  }
  await checkAbandoned(bench, reference)
}

/** @param isOld there is an older state, and a command is applied to it while the new one is built */
async function installInto(
  { script }: Bench,
  { states }: Reference,
  joiner: Subject,
  { place, isOld }: { readonly place: number; readonly isOld: boolean },
): Promise<void> {
  const seen = placeAfter(place)
  const { chunks, items } = states.get(place)!
  const [last, ...before] = isOld ? script.between(0, Math.ceil(place / 2)).toReversed() : []
  for (const step of before.toReversed()) joiner.apply(step)
  const installation = joiner.install(seen)
  const middle = Math.ceil(chunks.length / 2)
  joiner.add(installation, chunks.slice(0, middle), seen)
  if (last !== undefined) joiner.apply(last)
  const old = joiner.items(seen)
  joiner.add(installation, chunks.slice(middle), seen)
  compareItems('install', seen, 'before commit(), add() changed the state', old, joiner.items(seen), TIMES)
  await joiner.commit(installation, script.timeAt(place), seen)
  compareItems('install', seen, 'a state and what was installed of it differ', items, joiner.items(seen))
}

/** A state that is begun and not committed leaves no trace. */
async function checkAbandoned(bench: Bench, reference: Reference): Promise<void> {
  const { script } = bench
  const place = script.places.at(Math.floor(script.places.length / 2))!
  const seen = placeAfter(place)
  const subject = await bench.subject('install')
  for (const step of script.between(0, place)) subject.apply(step)
  const installation = subject.install(seen)
  subject.add(installation, reference.states.get(script.length)!.chunks, seen)
  orFault('install', 'abandon()', seen, () => installation.abandon?.())
  const what = 'after an install that was not committed'
  compareStates(
    'install',
    seen,
    `${what}, the state differs`,
    reference.states.get(place)!,
    await subject.state(seen),
  )
  await compareTwins(bench, reference, subject, {
    check: 'install',
    what,
    from: place,
    apply: (step) => subject.apply(step),
  })
}
