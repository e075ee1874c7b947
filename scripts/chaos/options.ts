import { parseArgs } from 'node:util'

export const LOGS = ['sqlite', 'nats', 'postgres'] as const
export type LogKind = (typeof LOGS)[number]

export interface ChaosOptions {
  /** No round begins after so many. */
  readonly minutes: number
  /** Nor after so many rounds. */
  readonly rounds: number
  readonly log: LogKind
  readonly replicas: number
  readonly seed: number
  readonly json: boolean
  /** Tell of everything while it happens. */
  readonly verbose: boolean
}

export const USAGE = `Usage: npm run chaos -- --minutes M [--log sqlite|nats|postgres] [--replicas N] [--seed S] [--json]

Runs a group of real processes on this machine, does to them what happens to processes, disks and servers, and
checks the promises of Anchorage after each round.

  --minutes M     begin no round after M minutes (default 5)
  --rounds R      end after R rounds
  --log LOG       what orders the log: ${LOGS.join(', ')} (default sqlite); nats starts three
                  servers, postgres one and a synchronous standby
  --replicas N    how many have a data directory, 3 to 9 (default 4); others join and leave
  --seed S        draw the same faults and writes again; real processes are not exactly reproducible
  --json          print the report as JSON
  --verbose       tell of every fault and event while it happens`

const REPLICAS_MIN = 3
const REPLICAS_MAX = 9
const SEED_MAX = 2 ** 32

/** The command line cannot be obeyed. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** What the command line asks for; undefined if it asks for help. Throws `UsageError`. */
export function parseOptions(args: readonly string[]): ChaosOptions | undefined {
  const values = valuesOf(args)
  if (values.help === true) return undefined
  return {
    minutes: positive('minutes', values.minutes ?? '5'),
    rounds: values.rounds === undefined ? Number.POSITIVE_INFINITY : integer('rounds', values.rounds, 1),
    log: logOf(values.log ?? 'sqlite'),
    replicas: integer('replicas', values.replicas ?? '4', REPLICAS_MIN, REPLICAS_MAX),
    seed: integer('seed', values.seed ?? String(Math.floor(Math.random() * SEED_MAX)), 0, SEED_MAX),
    json: values.json === true,
    verbose: values.verbose === true,
  }
}

function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string' },
        rounds: { type: 'string' },
        log: { type: 'string' },
        replicas: { type: 'string' },
        seed: { type: 'string' },
        json: { type: 'boolean' },
        verbose: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function logOf(text: string): LogKind {
  const known = LOGS.find((log) => log === text)
  if (known !== undefined) return known
  throw new UsageError(`there is no log ${text}; give one of ${LOGS.join(', ')}`)
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value) || value <= 0)
    throw new UsageError(`--${name} is ${text || 'empty'}; give a number above 0`)
  return value
}

function integer(name: string, text: string, min: number, max = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text)
  if (!/^\d+$/.test(text) || value < min || value > max)
    throw new UsageError(`--${name} is ${text || 'empty'}; give an integer from ${min} to ${max}`)
  return value
}
