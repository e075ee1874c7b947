import { REPLICA_STATES, type ReplicaState } from '../../group/announcement.ts'
import { Malformed } from '../../sync/wire/errors.ts'

/** An error of a replica, as it told it. */
export interface ToldError {
  readonly code: string
  readonly message: string
  /** The codes of what caused it, the nearest first. */
  readonly causes: readonly string[]
}

/** What a replica says of itself. Of a release that tells less, fields are undefined. */
export interface Account {
  readonly state: ReplicaState
  /** The index of the newest entry that it applied. */
  readonly applied: number
  /** What halted it, or keeps it from having a state. */
  readonly failure: ToldError | undefined
  /** Its newest problem since it was last in sync. */
  readonly problem: ToldError | undefined
  readonly logConnected: boolean | undefined
  /** The wall clock of its machine, in milliseconds since 1970. */
  readonly clockMs: number | undefined
}

/** The furthest that a date can be from 1970, in milliseconds. */
const DATE_MS_MAX = 8.64e15

type Fields = Readonly<Record<string, unknown>>

/** Reads a report, which a peer may have made up. Throws `Malformed`. */
export function accountIn(json: Uint8Array): Account {
  const report = fieldsOf(parsed(json))
  const { state, position, failure, problem, logConnected, clockMs } = report
  const { index } = fieldsOf(position)
  const known = REPLICA_STATES.find((one) => one === state)
  if (known === undefined || typeof index !== 'number' || !Number.isSafeInteger(index))
    throw new Malformed('its report tells no state or no position')
  return {
    state: known,
    applied: index,
    failure: errorIn(failure),
    problem: errorIn(problem),
    logConnected: typeof logConnected === 'boolean' ? logConnected : undefined,
    clockMs: typeof clockMs === 'number' && Math.abs(clockMs) <= DATE_MS_MAX ? clockMs : undefined,
  }
}

function parsed(json: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(json).toString())
  } catch (cause) {
    throw new Malformed('its report is no JSON', { cause })
  }
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

function errorIn(value: unknown): ToldError | undefined {
  const { code, message, causes } = fieldsOf(value)
  if (typeof code !== 'string' || typeof message !== 'string') return undefined
  const codes = Array.isArray(causes) ? causes.filter((one) => typeof one === 'string') : []
  return { code, message, causes: codes }
}
