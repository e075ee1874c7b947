import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { LogMismatch } from '../log/errors.ts'
import type { LogBackend } from '../log/log.ts'
import type { StateMachine } from '../machine/machine.ts'
import { asError } from '../thrown.ts'
import { UsageError, WrongMachine } from './errors.ts'

const NAME_IT = 'name its machine with --machine'

/** What a module for `--machine` gives as its default export. */
const WANTED = 'a machine, a class of machines, or a function that makes one'

/**
 * The machine of a user's module, or a map without one. Throws `UsageError` for a module that gives none.
 *
 * @param path undefined: the map
 */
export async function machineOf(path: string | undefined): Promise<StateMachine> {
  if (path === undefined) {
    const { ReplicatedMap } = await import('../machines/map/replicated-map.ts')
    return new ReplicatedMap()
  }
  const given = await defaultOf(path)
  const machine = await made(path, given)
  if (isMachine(machine)) return machine
  throw new UsageError(`the default export of ${path} is not ${WANTED}: see docs/machines.md`)
}

/** A machine, with where it and the log come from. */
export interface Match {
  readonly machine: StateMachine
  /** The module; undefined: the map. */
  readonly path: string | undefined
  /** The log's name, for people. */
  readonly log: string
  /** What to do about a log of another machine. Default: give `--machine`. */
  readonly advice?: string
}

/** Throws `WrongMachine` for a machine that does not speak the version that a log is of. */
export function assertSpeaks(match: Match, found: string): void {
  if (!signaturesOf(match.machine).includes(found)) throw mismatch(match, found)
}

/** A log that is opened for a machine: of another one, opening rejects with `WrongMachine`. */
export function matching(backend: LogBackend, match: Match): LogBackend {
  return {
    async open(init) {
      try {
        return await backend.open(init)
      } catch (error) {
        if (!(error instanceof LogMismatch) || error.field !== 'signature') throw error
        throw mismatch(match, error.found)
      }
    },
  }
}

function mismatch({ machine, path, log, advice = NAME_IT }: Match, found: string): WrongMachine {
  const speaks = signaturesOf(machine).map(quoted).join(' and ')
  return new WrongMachine(
    path === undefined
      ? `the log ${log} is of ${quoted(found)}, and this command takes it for ${speaks}, a map: ${advice}, or name another log with --log`
      : `the machine of ${path} is ${speaks}, and the log ${log} is of ${quoted(found)}: give --machine a module of that machine, or --log another log`,
  )
}

function signaturesOf({ signature, older = [] }: StateMachine): readonly string[] {
  return [signature, ...older]
}

async function defaultOf(path: string): Promise<unknown> {
  const file = resolve(path)
  await access(file).catch(() => {
    throw new UsageError(`there is no file ${path}: --machine takes a module, such as ./inventory.ts`)
  })
  try {
    const { default: given } = (await import(pathToFileURL(file).href)) as { readonly default?: unknown }
    return given
  } catch (cause) {
    throw new UsageError(`${path} cannot be loaded: ${asError(cause).message}`, { cause })
  }
}

async function made(path: string, given: unknown): Promise<unknown> {
  if (typeof given !== 'function') return given
  try {
    if (isClass(given)) return Reflect.construct(given, [])
    return await given()
  } catch (cause) {
    throw new UsageError(`${path} makes no machine: ${asError(cause).message}`, { cause })
  }
}

/** A class cannot be called, and its source begins with its keyword. */
function isClass(given: object): given is new () => unknown {
  return /^class\b/.test(Function.prototype.toString.call(given))
}

function isMachine(given: unknown): given is StateMachine {
  if (typeof given !== 'object' || given === null) return false
  const { signature, apply, capture, install } = given as Partial<StateMachine>
  return typeof signature === 'string' && [apply, capture, install].every((one) => typeof one === 'function')
}

function quoted(text: string): string {
  return JSON.stringify(text)
}
