/** A line of a page, in a style of its own or in none. */
export interface Line {
  readonly text: string
  readonly style?: 'bold' | 'red'
}

/** A part of a page: its head, and rows of one line or more that belong together. */
export interface Section {
  readonly head: readonly Line[]
  readonly rows: readonly (readonly Line[])[]
  /** Says what the last so many rows are, which have no room. */
  readonly rest: (hidden: number) => string
}

/**
 * The lines of several sections, with an empty one before each. Where there is no room for all rows, the sections that
 * need most are cut, and each has one row at least.
 *
 * @param rows how many lines there are for all of it; `Infinity`: any number
 */
export function fitted(sections: readonly Section[], rows: number): Line[] {
  // The empty line, and the one that says what was cut.
  let left = rows - sections.reduce((sum, { head }) => sum + head.length + 2, 0)
  const shares = new Map<Section, number>()
  const byNeed = [...sections].sort((a, b) => linesOf(a) - linesOf(b))
  for (const [at, section] of byNeed.entries()) {
    const share = Math.min(linesOf(section), Math.floor(left / (byNeed.length - at)))
    shares.set(section, share)
    left -= share
  }
  return sections.flatMap((section) => [{ text: '' }, ...section.head, ...cut(section, shares.get(section)!)])
}

function linesOf({ rows }: Section): number {
  return rows.reduce((sum, row) => sum + row.length, 0)
}

function cut({ rows, rest }: Section, lines: number): Line[] {
  const shown: Line[] = []
  for (const [at, row] of rows.entries()) {
    if (at > 0 && shown.length + row.length > lines) return [...shown, { text: rest(rows.length - at) }]
    shown.push(...row)
  }
  return shown
}
