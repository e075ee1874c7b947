/** A name is like another if at least so much of the longer one is the same. */
const ALIKE_MIN = 0.6

/** A candidate, and the names by which people may look for it. */
export interface Named<T> {
  readonly candidate: T
  readonly names: readonly string[]
}

/** The candidate one of whose names is most like this one; undefined if none is. Case and separators do not matter. */
export function nearest<T>(name: string, all: readonly Named<T>[]): T | undefined {
  const word = bare(name)
  let best: { readonly candidate: T; readonly alike: number } | undefined
  for (const { candidate, names } of all) {
    const alike = Math.max(...names.map((each) => similarity(word, bare(each))))
    if (alike >= ALIKE_MIN && alike > (best?.alike ?? 0)) best = { candidate, alike }
  }
  return best?.candidate
}

function bare(name: string): string {
  return name.toLowerCase().replaceAll(/[^\p{L}\p{N}]/gu, '')
}

function similarity(a: string, b: string): number {
  const length = Math.max(a.length, b.length)
  return length === 0 ? 0 : 1 - distance(a, b) / length
}

/** Of Levenshtein: how many letters to add, drop or change. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n)
  for (const [n, letter] of [...a].entries()) {
    const next = [n + 1]
    for (const [m, other] of [...b].entries())
      next.push(Math.min(row[m + 1]! + 1, next[m]! + 1, row[m]! + (letter === other ? 0 : 1)))
    row = next
  }
  return row.at(-1)!
}
