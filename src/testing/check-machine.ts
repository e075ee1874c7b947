import { CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, checkFunction, checkInteger } from '../bounds.ts'
import { Bench, type Reference } from './check-machine/bench.ts'
import { checkInstall } from './check-machine/install-check.ts'
import { checkIsolation } from './check-machine/isolation-check.ts'
import { MachineFault } from './check-machine/machine-fault.ts'
import { checkMalformed, type MutantCounts } from './check-machine/malformed-check.ts'
import { checkQuestions } from './check-machine/question-check.ts'
import { referenceRun } from './check-machine/reference-run.ts'
import { Script, type TimedCommand } from './check-machine/script.ts'
import { checkTime } from './check-machine/time-check.ts'
import { checkTransaction } from './check-machine/transaction-check.ts'
import { checkDeterminism, checkViews } from './check-machine/twin-checks.ts'
import { checkLikeOlder, UpgradeCheck } from './check-machine/upgrade-check.ts'
import { type MachineFactory, Workshop } from './check-machine/workshop.ts'
import { chanceOf } from './simulation/chance.ts'

/** Commands to check a machine with, in their order. */
export type CheckedCommands = Iterable<Uint8Array | TimedCommand> | AsyncIterable<Uint8Array | TimedCommand>

/** Options of `checkMachine`. */
export interface CheckMachineOptions {
  /** An integer from which the malformed commands follow. Default 1. */
  readonly seed?: number
  /** The average size of chunks, in bytes. Small, so that a small state has several. Default 256. */
  readonly chunkBytes?: number
  /** At how many places between commands states are compared, at least 2. Default 24. */
  readonly places?: number
  /** What to ask a machine that answers questions. Default: nothing. */
  readonly questions?: Iterable<Uint8Array>
  /** What is at hand of the older versions that the machine speaks, by their signatures. Default: nothing. */
  readonly older?: Readonly<Record<string, OlderVersion>>
}

/** An older version of a machine, for `checkMachine`. */
export interface OlderVersion {
  /** Commands of that version. Default: the same as of the newest. */
  readonly commands?: CheckedCommands
  /** Makes the machine of that version as it was, whose states the newest one must have. Default: not compared. */
  readonly factory?: MachineFactory
}

/** What was tried: a check of commands that are all malformed, or that leave no items, says little. */
export interface MachineReport {
  readonly commands: number
  /** Of these, how many the machine threw `MalformedCommand` for. */
  readonly malformed: number
  /** Items at the end. */
  readonly items: number
  /** The most items at any place. */
  readonly itemsMost: number
  /** Commands that were made of the given ones by cutting them off or changing bytes. */
  readonly mutants: MutantCounts
  /** The ways from one version to another that were tried. */
  readonly upgrades: readonly { readonly from: string; readonly to: string }[]
}

const SEED_DEFAULT = 1
const CHUNK_BYTES_DEFAULT = 256
const PLACES_DEFAULT = 24

/**
 * Check a state machine of your own with a list of commands: that two instances do the same, that snapshots stay
 * as they were captured, that an installed state is as good as the one that it was captured of, that malformed
 * commands leave no trace, that nothing is kept of a command's buffer, and that what dies with time dies alike. Of a
 * machine that speaks `older` versions, all of that is checked with each of them active, and the way from each to the
 * next and to the newest.
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
  commands: CheckedCommands,
  options: CheckMachineOptions = {},
): Promise<MachineReport> {
  const { chunkBytes = CHUNK_BYTES_DEFAULT, places = PLACES_DEFAULT, older = {} } = options
  const { seed = SEED_DEFAULT, questions = [] } = options
  checkFunction('factory', factory)
  checkInteger('seed', seed, 0)
  checkInteger('chunkBytes', chunkBytes, CHUNK_BYTES_MIN, CHUNK_BYTES_MAX)
  checkInteger('places', places, 2)
  const script = await Script.of(commands, places)
  await using workshop = new Workshop(factory)
  const bench = new Bench({ workshop, script, chunkBytes })
  const asked = { seed, questions: Array.from(questions, (question) => Uint8Array.from(question)) }
  const { reference, mutants } = await checkVersion(bench, asked)
  const versions = new VersionsCheck({ ...asked, bench, places, older })
  const upgrades = await versions.run(await workshop.make())
  const counts = [...reference.states.values()].map(({ items }) => items.length)
  return {
    commands: script.length,
    malformed: reference.outcomes.filter(({ type }) => type === 'malformed').length,
    items: counts.at(-1)!,
    itemsMost: Math.max(...counts),
    mutants,
    upgrades,
  }
}

/** All that can be checked of one version. */
async function checkVersion(
  bench: Bench,
  { seed, questions }: { readonly seed: number; readonly questions: readonly Uint8Array[] },
): Promise<{ readonly reference: Reference; readonly mutants: MutantCounts }> {
  const reference = await referenceRun(bench)
  await checkDeterminism(bench, reference)
  await checkViews(bench, reference)
  await checkIsolation(bench, reference)
  await checkInstall(bench, reference)
  const mutants = await checkMalformed(bench, chanceOf(seed, 'mutants'))
  await checkTime(bench, reference)
  await checkQuestions(bench, reference, questions)
  await checkTransaction(bench)
  return { reference, mutants }
}

interface VersionsInit extends Required<Pick<CheckMachineOptions, 'seed' | 'places' | 'older'>> {
  /** Of the newest version. */
  readonly bench: Bench
  readonly questions: readonly Uint8Array[]
}

/** The older versions that a machine speaks, and the ways from them. */
class VersionsCheck {
  readonly #init: VersionsInit
  readonly #scripts = new Map<string, Script>()

  constructor(init: VersionsInit) {
    this.#init = init
  }

  async run({ signature, older = [] }: { readonly signature: string; readonly older?: readonly string[] }) {
    const unknown = Object.keys(this.#init.older).find((version) => !older.includes(version))
    if (unknown !== undefined) {
      throw new RangeError(
        `options.older names ${unknown}, which the machine does not speak; it speaks ${[signature, ...older].join(', ')}`,
      )
    }
    const upgrades: { readonly from: string; readonly to: string }[] = []
    for (const [n, from] of older.entries()) {
      const targets = new Set([older[n - 1] ?? signature, signature])
      await this.#check(from, targets).catch((error: unknown) => {
        throw error instanceof MachineFault ? error.with(from) : error
      })
      for (const to of targets) upgrades.push({ from, to })
    }
    return upgrades
  }

  async #check(from: string, targets: Iterable<string>): Promise<void> {
    const bench = this.#init.bench.with({ signature: from, script: await this.#script(from) })
    const { reference } = await checkVersion(bench, this.#init)
    const { factory } = this.#init.older[from] ?? {}
    if (factory !== undefined) {
      await using workshop = new Workshop(factory)
      await checkLikeOlder(bench.with({ workshop }), reference)
    }
    for (const to of targets) {
      await new UpgradeCheck({ bench, reference, from, to, script: await this.#script(to) }).run()
    }
  }

  async #script(version: string): Promise<Script> {
    const { bench, places, older } = this.#init
    const { commands } = older[version] ?? {}
    const known = this.#scripts.get(version)
    const script = known ?? (commands === undefined ? bench.script : await Script.of(commands, places))
    this.#scripts.set(version, script)
    return script
  }
}
