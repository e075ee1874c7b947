/** What a catch-up's cells say: see `CatchUpProgress.cells`. */

const PROVIDER = 0x0f
const HERE = 0x10
const HEDGED = 0x20
/** More cells are never sent, and never drawn. */
const CELLS_MAX = 4_096

export interface Cell {
  /** All chunks of the cell are here. */
  readonly here: boolean
  /** The place, from 0, of the provider that sent most of it. Undefined: nobody that is listed. */
  readonly provider: number | undefined
  /** Some of it was asked of two providers. */
  readonly hedged: boolean
}

/** Reads cells, two hexadecimal digits each. What is none is read as one that is missing. */
export function readCells(text: string): Cell[] {
  const cells: Cell[] = []
  const end = Math.min(text.length - (text.length % 2), 2 * CELLS_MAX)
  for (let at = 0; at < end; at += 2) {
    const byte = Number.parseInt(text.slice(at, at + 2), 16) || 0
    const place = byte & PROVIDER
    cells.push({
      here: (byte & HERE) !== 0,
      provider: place === 0 ? undefined : place - 1,
      hedged: (byte & HEDGED) !== 0,
    })
  }
  return cells
}

/** The same cells, as if all were here. Who sent those that were missing is not known. */
export function filled(text: string): string {
  return text.replace(/../g, (digits) =>
    ((Number.parseInt(digits, 16) || 0) & HERE) !== 0 ? digits : HERE.toString(16),
  )
}
