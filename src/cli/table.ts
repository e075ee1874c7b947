import { plainText } from '../plain-text.ts'
import type { Output } from './output.ts'

/** A table for people. Each row has as many cells as the head. What others wrote in them is made plain. */
export function printTable(
  output: Output,
  head: readonly string[],
  cells: readonly (readonly string[])[],
): void {
  const [first, ...rows] = tableLines(head, cells)
  output.line(output.style('bold', first!))
  for (const row of rows) output.line(row)
}

/** The lines of a table, the head first. */
export function tableLines(head: readonly string[], cells: readonly (readonly string[])[]): string[] {
  const rows = [head, ...cells.map((row) => row.map(plainText))]
  const widths = head.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  )
}
