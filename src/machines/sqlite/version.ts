import type { CommandContext } from '../../machine/machine.ts'
import type { CommandDb } from './command-db.ts'
import type { Schema } from './schema.ts'

export type Apply<Result> = (db: CommandDb, command: Uint8Array, context: CommandContext) => Result
/** SQL, of one or more statements, or a function that runs some. */
export type Upgrade = string | ((db: CommandDb) => void)

/** The version of the items and of what is in the file. */
const FORMAT = 'sqlite/1'

export interface VersionInit<Result> {
  readonly schema: Schema
  readonly name: string | undefined
  readonly apply: Apply<Result>
  /** Makes the tables of the next newer version of these. */
  readonly upgrade?: Upgrade | undefined
}

/** A version of a machine: its tables, and what commands do to them. */
export class Version<Result = unknown> {
  readonly schema: Schema
  readonly name: string | undefined
  readonly signature: string
  readonly apply: Apply<Result>
  readonly upgrade: Upgrade | undefined

  constructor({ schema, name, apply, upgrade }: VersionInit<Result>) {
    this.schema = schema
    this.name = name
    this.apply = apply
    this.upgrade = upgrade
    this.signature = `${FORMAT} ${JSON.stringify({ schema: schema.hash, ...(name !== undefined && { name }) })}`
  }
}

/** The versions that a machine speaks, the newest first. */
export class Versions<Result = unknown> {
  readonly #all: readonly Version<Result>[]

  /** Throws `RangeError` for two that are the same. */
  constructor(all: readonly Version<Result>[]) {
    this.#all = all
    const signatures = all.map(({ signature }) => signature)
    const twice = all.find(({ signature }, at) => signatures.indexOf(signature) !== at)
    if (twice === undefined) return
    throw new RangeError(
      `two versions have the name ${JSON.stringify(twice.name)} and the same schema: give each a name of its own`,
    )
  }

  get newest(): Version<Result> {
    return this.#all[0]!
  }

  get signatures(): readonly string[] {
    return this.#all.map(({ signature }) => signature)
  }

  /** Undefined for one that is not spoken. */
  find(signature: string): Version<Result> | undefined {
    return this.#all.find((version) => version.signature === signature)
  }

  /** As `find`, but a machine of one version need not be told which one it is. Throws `RangeError`. */
  of(signature: string): Version<Result> {
    const version = this.#all.length === 1 ? this.newest : this.find(signature)
    if (version !== undefined) return version
    throw new RangeError(`this machine does not speak ${JSON.stringify(signature)}`)
  }

  /** The way from one version to a newer one: each with the next newer one. */
  steps(
    from: Version<Result>,
    to: Version<Result>,
  ): readonly (readonly [Version<Result>, Version<Result>])[] {
    const [begin, end] = [this.#all.indexOf(from), this.#all.indexOf(to)]
    if (begin < end) throw new RangeError(`${to.signature} is older than ${from.signature}`)
    const way = this.#all.slice(end, begin + 1).toReversed()
    return way.slice(1).map((next, i) => [way[i]!, next] as const)
  }
}
