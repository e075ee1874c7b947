import type { Output } from './output.ts'
import { plainText } from './plain-text.ts'

/** A table for people. Each row has as many cells as the head. What others wrote in them is made plain. */
export function printTable(
  output: Output,
  head: readonly string[],
  cells: readonly (readonly string[])[],
): void {
  const rows = cells.map((row) => row.map(plainText))
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]!.length)),
  )
  const format = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd()
  output.line(output.style('bold', format(head)))
  for (const row of rows) output.line(format(row))
}
