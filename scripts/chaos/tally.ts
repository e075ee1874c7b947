import { ERROR_CLASSES } from '../../src/processes/error-classes.ts'

const CODES = new Map(
  ERROR_CLASSES.map((one) => [(one as { readonly name?: string }).name ?? '', one.code] as const),
)

/** What the system says begins so: a disk is told with the system's own code. */
const OF_SYSTEM = /^(E[A-Z0-9]+): /

/** The code of an error that was told by its name and message; undefined if it is no typed error. */
export function codeOf({ name, message }: Pick<Error, 'name' | 'message'>): string | undefined {
  return CODES.get(name) ?? OF_SYSTEM.exec(message)?.[1]
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
