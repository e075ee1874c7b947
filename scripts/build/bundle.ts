import { rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { rolldown } from 'rolldown'
import { ownAddress } from './own-address.ts'
import { writeTerms } from './terms.ts'

/** It has code for each kind of processor, and is loaded as it is installed. */
const NATIVE = ['@napi-rs/blake-hash']

/**
 * Put a module and all that it imports into a few files, and have the module pass on what they export. Loading libp2p
 * takes Node 700 files, and four fifths of the time of a question to a running replica. Classes of a bundle are not
 * those that others import: an error that leaves it is told by its name.
 *
 * @param name of the module, without its extension; the file of that name in `dist` is written over, and has no map
 * @param into a folder in `dist` for the files, and for the terms of the packages whose code is in them
 */
export async function bundle(src: string, dist: string, name: string, into: string): Promise<void> {
  const build = await rolldown({
    input: join(src, `${name}.ts`),
    platform: 'node',
    external: NATIVE,
    logLevel: 'silent',
    plugins: [ownAddress(src, `${into}/`)],
  })
  const dir = join(dist, into)
  const { output } = await build.write({ dir, format: 'esm', comments: { legal: true } })
  await build.close()
  const module = join(dist, `${name}.js`)
  const path = relative(dirname(module), join(dir, basename(module)))
  rmSync(`${module}.map`, { force: true })
  writeFileSync(module, `export * from './${path}'\n`)
  writeTerms(dir, output)
}
