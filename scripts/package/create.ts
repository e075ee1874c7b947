/**
 * Packs `create-anchorage`, which `npm create anchorage` runs: one file and the template of `anchorage init`, with the version of
 * the package of this folder. As a program: packs it into the folder that is named, and prints the path.
 */
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { rolldown } from 'rolldown'
import { pack } from './archive.ts'

const SOURCE = 'src/cli/create'
const TEMPLATE = 'src/cli/init/template'
const TERMS = ['LICENSE-APACHE', 'LICENSE-MIT']
/** What both packages say alike, as soon as the main one says it. */
const SHARED = ['version', 'repository', 'homepage', 'bugs'] as const

/** Returns the path of the archive. Its bytes depend on the commit alone, as those of `npm pack` do. */
export async function packCreate(root: string, into: string): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'create-anchorage-'))
  try {
    const read = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'))
    const main = read('package.json')
    const shared = Object.fromEntries(SHARED.flatMap((key) => (key in main ? [[key, main[key]]] : [])))
    const manifest = { ...read(`${SOURCE}/package.json`), ...shared }
    writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`)
    copyFileSync(join(root, SOURCE, 'README.md'), join(folder, 'README.md'))
    for (const name of TERMS) copyFileSync(join(root, name), join(folder, name))
    cpSync(join(root, TEMPLATE), join(folder, 'template'), { recursive: true })
    // What is bundled is named in it, relative to `cwd`: so the bytes are the same wherever the folder is.
    const input = join(root, SOURCE, 'main.ts')
    const build = await rolldown({ input, cwd: root, platform: 'node', logLevel: 'silent' })
    await build.write({ file: join(folder, 'main.js'), format: 'esm' })
    await build.close()
    return pack(folder, into)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (import.meta.main) console.log(await packCreate(process.cwd(), resolve(process.argv[2] ?? '.')))
