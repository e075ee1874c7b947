import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OutputAsset, OutputChunk } from 'rolldown'

/** Names of files with the terms on which a package may be copied. */
const TERMS = /^(licen[cs]e|notice|copying)/i
/** The comment with which a file begins, if it has no other file of terms. */
const HEAD = /^(?:\/\/.*\n)+|^\/\*[\s\S]*?\*\//

/** Write the terms of all packages whose code is in the files that were bundled into a folder. */
export function writeTerms(folder: string, bundled: readonly (OutputChunk | OutputAsset)[]): void {
  const modules = bundled.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
  const byPackage = Map.groupBy(modules, packageOf)
  const terms = [...byPackage.keys()].filter((one) => one !== undefined).sort()
  const head = 'The files beside this one hold code of these packages, on these terms.'
  // npm may have installed the same package in several places.
  const all = new Set([head, ...terms.map((one) => termsOf(one, byPackage.get(one)!))])
  writeFileSync(join(folder, 'LICENSES.txt'), `${[...all].join(`\n\n${'-'.repeat(80)}\n\n`)}\n`)
}

/** The folder of the package that a module is of; undefined for one of ours. */
function packageOf(module: string): string | undefined {
  return /^(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(module)?.[1]
}

function termsOf(folder: string, modules: readonly string[]): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const files = readdirSync(folder, { withFileTypes: true }).filter(
    (one) => one.isFile() && TERMS.test(one.name),
  )
  const texts = files.map((file) => readFileSync(join(folder, file.name), 'utf8').trim())
  const noticed = texts.length > 0 ? texts : noticesIn(modules)
  const told =
    noticed.length > 0 ? noticed : ['The package has no text of its terms: they are those of that name.']
  return [`${name} ${version} (${license})`, ...told].join('\n\n')
}

/** What the modules say of their authors themselves. */
function noticesIn(modules: readonly string[]): readonly string[] {
  const heads = modules.map((module) => HEAD.exec(readFileSync(module, 'utf8'))?.[0].trim() ?? '')
  return [...new Set(heads)].filter((head) => /copyright/i.test(head))
}
