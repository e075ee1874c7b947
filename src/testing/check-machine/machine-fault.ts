import { AnchorageError } from '../../errors.ts'
import { asError } from '../../thrown.ts'
import { excerpt } from './excerpt.ts'

/** What `checkMachine` looks at; each is a check of its own. */
export type MachineCheck =
  | 'determinism'
  | 'items'
  | 'views'
  | 'isolation'
  | 'install'
  | 'malformed'
  | 'time'
  | 'questions'
  | 'transaction'
  | 'upgrade'

/** Where a fault was met. */
export interface FaultPlace {
  /** The number of a command in the list that was given, from 0. */
  readonly command?: number | undefined
  /** The first of the commands of which it was one, if it is not known which. */
  readonly since?: number
  /** The bytes that were applied there, if they are not the ones that were given. */
  readonly bytes?: Uint8Array | undefined
}

/** What to do about a fault. */
export const REMEDIES: Readonly<Record<MachineCheck, string>> = {
  determinism:
    'apply() and advance() may look at nothing but the state, the command and its context, and items() must have one order: no clock, no chance, no variable of the module, no order of insertion where it may differ',
  items:
    'capture() must give the same items however they are read, in one order, each of at most 32 MiB, as long as nothing is applied',
  views:
    'a command may be a view of a buffer that is used again: copy what you keep of it, with Uint8Array.from(bytes), and change nothing in it; slice() of a Buffer makes no copy',
  isolation:
    'a snapshot must stay as it was captured until it is released: copy what commands change, and let release() touch nothing that the state or another snapshot needs',
  install:
    'items must hold all that later commands depend on, and install() must build a new state from them alone, beside the old one, until commit() puts it in its place',
  malformed:
    'look at all of a command before the first change, and throw MalformedCommand for bytes that are none: any other error halts every replica of the group',
  time: 'what dies with time dies in advance() alone, by the time that it is given; dueMs is the time at which something dies next, or an earlier one, and after advance(t) it is later than t or undefined',
  questions:
    'query() must answer from the state alone, change nothing, give bytes that nobody changes afterwards, and throw MalformedQuestion for bytes that are no question',
  transaction:
    'rollback() must undo every change since begin(), and commit() keep them as if there were no begin()',
  upgrade:
    'with an older version active, apply(), capture() and install() must do as that version did; upgrade() must make the same of the same items',
}

/**
 * `checkMachine` found a fault in a state machine. The message says which check found it, at which command, what
 * differed, and what to do.
 */
export class MachineFault extends AnchorageError {
  static override readonly code = 'MACHINE_FAULT'
  override readonly name = 'MachineFault'
  readonly check: MachineCheck
  /**
   * The number of the command at which, or after which, it was seen, from 0; undefined if it was none. More
   * `places` tell it more exactly.
   */
  readonly command: number | undefined
  /** The version of the machine that was active, if it was an older one. */
  readonly version: string | undefined
  /** What was found, without the place and the advice. */
  readonly what: string
  readonly #place: FaultPlace

  constructor(check: MachineCheck, what: string, place: FaultPlace = {}, options?: FaultOptions) {
    const { version, ...rest } = options ?? {}
    const active = version === undefined ? '' : ` with ${version} active`
    super(`${check}${active}${placed(place)}: ${what}; ${REMEDIES[check]}`, rest)
    this.check = check
    this.command = place.command
    this.version = version
    this.what = what
    this.#place = place
  }

  /** The same fault, found while an older version was active. */
  with(version: string): MachineFault {
    const cause = this.cause === undefined ? {} : { cause: this.cause }
    return new MachineFault(this.check, this.what, this.#place, { version, ...cause })
  }
}

interface FaultOptions {
  readonly cause?: unknown
  readonly version?: string
}

function placed({ command, since, bytes }: FaultPlace): string {
  if (command === undefined) return ''
  if (since !== undefined) return ` in commands ${since} to ${command}`
  return bytes === undefined ? ` after command ${command}` : ` at command ${command} (${excerpt(bytes)})`
}

/** Do work of the machine, and make a fault of any error that it throws. */
export function orFault<T>(check: MachineCheck, what: string, place: FaultPlace, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw faultOf(check, what, place, error)
  }
}

export function faultOf(check: MachineCheck, what: string, place: FaultPlace, thrown: unknown): MachineFault {
  if (thrown instanceof MachineFault) return thrown
  const { name, message } = asError(thrown)
  return new MachineFault(check, `${what} threw ${name}: ${message}`, place, { cause: thrown })
}
