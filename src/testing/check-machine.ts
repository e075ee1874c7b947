import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, checkFunction, checkInteger } from '../bounds.ts'
import { Bench, type MachineFactory } from './check-machine/bench.ts'
import { checkInstall } from './check-machine/install-check.ts'
import { checkIsolation } from './check-machine/isolation-check.ts'
import { checkMalformed } from './check-machine/malformed-check.ts'
import { referenceRun } from './check-machine/reference-run.ts'
import { Script, type TimedCommand } from './check-machine/script.ts'
import { checkTime } from './check-machine/time-check.ts'
import { checkTransaction } from './check-machine/transaction-check.ts'
import { checkDeterminism, checkViews } from './check-machine/twin-checks.ts'
import { chanceOf } from './simulation/chance.ts'

export interface CheckMachineOptions {
  /** An integer from which the malformed commands follow. Default 1. */
  readonly seed?: number
  /** The average size of chunks, in bytes, as snapshots are cut. Small, so that a small state has several. Default 256. */
  readonly chunkBytes?: number
  /** At how many places between commands states are compared, at least 2. Default 24. */
  readonly places?: number
}

/** What was tried: a check of commands that are all malformed, or leave no items, says little. */
export interface MachineReport {
  readonly commands: number
  /** Of these, how many the machine threw `MalformedCommand` for. */
  readonly malformed: number
  /** Items at the end. */
  readonly items: number
  /** The most items at any place. */
  readonly itemsMost: number
  /** Commands that were made of the given ones by cutting them off or changing bytes. */
  readonly mutants: { readonly applied: number; readonly malformed: number }
}

const SEED_DEFAULT = 1
const CHUNK_BYTES_DEFAULT = 256
const PLACES_DEFAULT = 24

/**
 * Check a state machine of your own with a list of commands: that two instances do the same, that snapshots stay
 * as they were captured, that an installed state is as good as the one that it was captured of, that malformed
 * commands leave no trace, that nothing is kept of a command's buffer, that what dies with time dies alike, and that
 * older versions and the way from them to the newest hold, too.
 *
 * Rejects with `MachineFault` for the first fault: it says which check found it, at which command, what differed and
 * what to do. Rejects with `RangeError` for no commands, and for impossible options. What `factory` throws, it
 * rejects with.
 *
 * @param factory makes a new machine, with an empty state; each that has `Symbol.dispose` is closed in the end
 * @param commands as `apply` takes them; with a machine time where that matters
 *
 * @example
 * ```ts
 * import { checkMachine } from 'anchorage/testing'
 *
 * const words = ['apples', 'pears', 'plums']
 * await checkMachine(() => new Tally(), words.map((word, n) => encode([word, n])))
 * ```
 */
export async function checkMachine(
  factory: MachineFactory,
  commands: Iterable<Uint8Array | TimedCommand> | AsyncIterable<Uint8Array | TimedCommand>,
  options: CheckMachineOptions = {},
): Promise<MachineReport> {
  const { seed = SEED_DEFAULT, chunkBytes = CHUNK_BYTES_DEFAULT, places = PLACES_DEFAULT } = options
  checkFunction('factory', factory)
  checkInteger('seed', seed, 0)
  checkInteger('chunkBytes', chunkBytes, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
  checkInteger('places', places, 2)
  const script = await Script.of(commands, places)
  await using bench = new Bench({ factory, script, chunkBytes })
  const reference = await referenceRun(bench)
  await checkDeterminism(bench, reference)
  await checkViews(bench, reference)
  await checkIsolation(bench, reference)
  await checkInstall(bench, reference)
  const mutants = await checkMalformed(bench, chanceOf(seed, 'mutants'))
  await checkTime(bench, reference)
  await checkTransaction(bench)
  const counts = [...reference.states.values()].map(({ items }) => items.length)
  return {
    commands: script.length,
    malformed: reference.outcomes.filter(({ type }) => type === 'malformed').length,
    items: counts.at(-1)!,
    itemsMost: Math.max(...counts),
    mutants,
  }
}
