import { sameBytes } from '../../bytes.ts'
import { excerpt } from './excerpt.ts'
import { type FaultPlace, type MachineCheck, MachineFault } from './machine-fault.ts'

/** What a replica would have of a machine at one place. */
export interface State {
  /** Copies, in order. */
  readonly items: readonly Uint8Array[]
  /** As a replica cuts it. */
  readonly root: Uint8Array
  readonly chunks: readonly StateChunk[]
}

export interface StateChunk {
  readonly bytes: Uint8Array
  readonly items: number
}

/** What two states are of: two instances, or one at two times. */
type Words = readonly [one: string, other: string]
const INSTANCES: Words = ['in one', 'in the other']
export const TIMES: Words = ['before', 'afterwards']

/**
 * Throws a fault where two lists of items differ, with the first item that does.
 *
 * @param expected of the first instance, or of earlier
 * @param what happened to the two, as the beginning of a sentence: "on two instances, the states differ"
 */
export function compareItems(
  check: MachineCheck,
  place: FaultPlace,
  what: string,
  expected: readonly Uint8Array[],
  found: readonly Uint8Array[],
  words: Words = INSTANCES,
): void {
  const at = expected.findIndex((item, n) => found[n] === undefined || !sameBytes(item, found[n]))
  if (at < 0 && found.length === expected.length) return
  const n = at < 0 ? expected.length : at
  const [one, other] = words
  const counts =
    found.length === expected.length
      ? ''
      : `; there are ${expected.length} items ${one}, and ${found.length} ${other}`
  throw new MachineFault(check, `${what}: item ${n} is ${pair(expected[n], found[n], words)}${counts}`, place)
}

/** As `compareItems`, and where the items are alike, by their roots. */
export function compareStates(
  check: MachineCheck,
  place: FaultPlace,
  what: string,
  expected: State,
  found: State,
): void {
  compareItems(check, place, what, expected.items, found.items)
  if (sameBytes(expected.root, found.root)) return
  throw new MachineFault(check, `${what}: the items are alike, and the roots are not`, place)
}

/** How much is shown before the first byte that differs. */
const BEFORE = 16

function pair(one: Uint8Array | undefined, other: Uint8Array | undefined, [ofOne, ofOther]: Words): string {
  const from =
    one === undefined || other === undefined ? 0 : Math.max(0, firstDifference(one, other) - BEFORE)
  const shown = (item: Uint8Array | undefined) =>
    item === undefined ? 'not there' : excerpt(item.subarray(from))
  const where = from === 0 ? '' : `, from byte ${from} on,`
  return `${shown(one)} ${ofOne}${where} and ${shown(other)} ${ofOther}`
}

function firstDifference(one: Uint8Array, other: Uint8Array): number {
  const at = one.findIndex((byte, n) => byte !== other[n])
  return at < 0 ? one.length : at
}
