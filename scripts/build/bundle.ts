import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative } from 'node:path'
import { rolldown } from 'rolldown'

/** It has code for each kind of processor, and is loaded as it is installed. */
const NATIVE = ['@napi-rs/blake-hash']
/** Names of files with the terms on which a package may be copied. */
const TERMS = /^(licen[cs]e|notice|copying)/i

/**
 * Put a module and all that it imports into a few files, and have the module pass on what they export. Loading libp2p
 * takes Node 700 files, and four fifths of the time of a question to a running replica. Classes of a bundle are not
 * those that others import: an error that leaves it is told by its name.
 *
 * @param module a compiled module; it is written over
 * @param into a folder for the files, and for the terms of the packages whose code is in them
 */
export async function bundle(module: string, into: string): Promise<void> {
  const build = await rolldown({ input: module, platform: 'node', external: NATIVE, logLevel: 'silent' })
  const { output } = await build.write({ dir: into, format: 'esm', comments: { legal: true } })
  await build.close()
  const path = relative(dirname(module), join(into, basename(module)))
  writeFileSync(module, `export * from './${path}'\n`)
  const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
  writeFileSync(join(into, 'LICENSES.txt'), termsOf(new Set(modules.flatMap(packageOf))))
}

/** The folder of the package that a module is of; none for one of ours. */
function packageOf(module: string): string[] {
  const found = /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(module)?.[1]
  return found === undefined ? [] : [found]
}

function termsOf(folders: ReadonlySet<string>): string {
  const terms = [...folders].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    const files = readdirSync(folder, { withFileTypes: true }).filter(
      (one) => one.isFile() && TERMS.test(one.name),
    )
    const texts = files.map((file) => readFileSync(join(folder, file.name), 'utf8').trim())
    return [`${name} ${version} (${license})`, ...texts].join('\n\n')
  })
  const head = 'The files beside this one hold code of these packages, on these terms.'
  return `${[head, ...terms].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`
}
