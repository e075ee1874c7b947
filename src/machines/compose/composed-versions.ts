import { OLDER_MAX } from '../../bounds.ts'
import { type Part, signatureOfParts } from './parts.ts'

/**
 * The versions that a composition speaks: each is one of every part. If that would be more than a machine may
 * speak, those are left out in which the parts differ most in age. What matters most is where all parts are
 * equally old, since that is how programs are released.
 */
export class ComposedVersions {
  /** The newest of every part. */
  readonly newest: string
  /** The newest first; undefined if no part speaks an older version. */
  readonly older: readonly string[] | undefined
  readonly #ofParts = new Map<string, readonly string[]>()
  #last: { readonly signature: string; readonly ofParts: readonly string[] }

  constructor(parts: readonly Part[]) {
    const spoken = parts.map(({ machine: { signature, older = [] } }) => [signature, ...older])
    for (const ages of agesOf(spoken.map(({ length }) => length - 1))) {
      const ofParts = ages.map((age, part) => spoken[part]![age]!)
      this.#ofParts.set(signatureOfParts(parts, ofParts), ofParts)
    }
    const [newest, ...older] = this.#ofParts.keys()
    this.newest = newest!
    this.older = older.length === 0 ? undefined : older
    this.#last = { signature: this.newest, ofParts: this.#ofParts.get(this.newest)! }
  }

  /** The signature of each part in a version. Throws `RangeError` for a version that is not spoken. */
  ofParts(signature: string): readonly string[] {
    // Nearly all calls are about the one that the group speaks.
    if (signature === this.#last.signature) return this.#last.ofParts
    const ofParts = this.#ofParts.get(signature)
    if (ofParts === undefined) throw new RangeError(`this composition does not speak ${signature}`)
    this.#last = { signature, ofParts }
    return ofParts
  }
}

/**
 * How old each part is in each version, from the newest version on. Age 0 is a part's newest signature.
 * @param oldest the greatest age of each part
 */
function agesOf(oldest: readonly number[]): readonly (readonly number[])[] {
  const chosen = new Map<string, readonly number[]>()
  const choose = (ages: readonly number[]) => {
    if (chosen.size <= OLDER_MAX) chosen.set(String(ages), ages)
  }
  // Those in which all parts are equally old, as far as they go back.
  for (let age = 0; age <= Math.max(...oldest); age++) choose(oldest.map((most) => Math.min(age, most)))
  // Then the newest ones.
  let round: readonly (readonly number[])[] = [oldest.map(() => 0)]
  while (round.length > 0 && chosen.size <= OLDER_MAX) {
    round = aStepOlder(round, oldest)
    for (const ages of round) choose(ages)
  }
  return [...chosen.values()].sort((a, b) => total(a) - total(b))
}

/** Those in which one part is a step older than in one of these, which all have the same total age. */
function aStepOlder(
  round: readonly (readonly number[])[],
  oldest: readonly number[],
): readonly (readonly number[])[] {
  const next = new Map<string, readonly number[]>()
  for (const ages of round) {
    for (const [part, most] of oldest.entries()) {
      const older = ages.with(part, ages[part]! + 1)
      if (older[part]! <= most) next.set(String(older), older)
    }
  }
  return [...next.values()]
}

function total(ages: readonly number[]): number {
  return ages.reduce((sum, age) => sum + age, 0)
}
