import { ERROR_CLASSES } from '../../src/processes/error-classes.ts'

const CODES = new Map(
  ERROR_CLASSES.map((one) => [(one as { readonly name?: string }).name ?? '', one.code] as const),
)

/** The code of the class that has this name; undefined if it is none of ours, and so no typed error. */
export function codeOf(name: string): string | undefined {
  return CODES.get(name)
}

/** Counts what was told, by code. */
export class Tally {
  readonly #counts = new Map<string, number>()

  add(what: string, count = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + count)
  }

  /** The most frequent first. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort(([, a], [, b]) => b - a))
  }
}
