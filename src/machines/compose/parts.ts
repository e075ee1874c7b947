import { createHash } from 'node:crypto'
import { SIGNATURE_BYTES_MAX } from '../../bounds.ts'
import type { StateMachine } from '../../machine/machine.ts'
import { BadComposition } from './errors.ts'

/** Machines by their names. */
export type Parts = Readonly<Record<string, StateMachine>>

/** The version of commands and snapshots of compositions. */
const FORMAT = 'compose/1'
const IDENTIFIER = /^[a-z_$][\w$]*$/i
/** An object with this property would not come through an `await`. */
const THENABLE = 'then'

/** One of the machines of a composition. */
export interface Part {
  readonly name: string
  readonly machine: StateMachine
}

/**
 * The parts in the order of their names, which is the same on every replica.
 *
 * @param taken names that a part cannot have
 * @throws {BadComposition}
 */
export function checkedParts(parts: Parts, taken: (name: string) => boolean): readonly Part[] {
  const checked = Object.entries(parts)
    .map(([name, machine]) => ({ name, machine }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  if (checked.length === 0) throw new BadComposition('there are no parts; give at least one machine')
  for (const { name, machine } of checked) {
    if (!IDENTIFIER.test(name))
      throw new BadComposition(`${JSON.stringify(name)} is no name for a part; give letters, digits and _`)
    if (name === THENABLE || taken(name))
      throw new BadComposition(`a part cannot be named ${name}: the composition has that itself`)
    checkMachine(name, machine)
  }
  return checked
}

function checkMachine(name: string, machine: StateMachine): void {
  const isMachine =
    typeof machine === 'object' &&
    machine !== null &&
    typeof machine.signature === 'string' &&
    [machine.apply, machine.capture, machine.install].every((method) => typeof method === 'function')
  if (!isMachine) throw new BadComposition(`the part ${name} is no machine`)
  if (machine.durable !== undefined)
    throw new BadComposition(
      `the part ${name} keeps its state on the disk by itself, and cannot commit it together with other parts; ` +
        'give it a group of its own',
    )
}

/**
 * The names and signatures of all parts, each signature after its length, so that no two compositions have the same.
 * If that is too long for a signature, a hash stands for it.
 *
 * @param signatures of the parts, in their order
 */
export function signatureOfParts(parts: readonly Part[], signatures: readonly string[]): string {
  const named = parts.map(({ name }, i) => `${name}:${signatures[i]!.length}:${signatures[i]!}`)
  const whole = [FORMAT, ...named].join(';')
  if (Buffer.byteLength(whole) <= SIGNATURE_BYTES_MAX) return whole
  return `${FORMAT};sha256=${createHash('sha256').update(whole).digest('hex')}`
}
