import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { browserModule } from '../../../src/observe/page/browser-module.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')
const PROGRAMS = ['figures', 'libp2p', 'replica'] as const

/**
 * The package as it is published, in a folder of its own, and the programs of this benchmark beside it. These are
 * JavaScript there: to strip types takes Node more memory than all that is measured.
 */
export class BuiltPackage implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'anchorage-start-'))

  constructor() {
    const build = join(ROOT, 'scripts', 'build.ts')
    execFileSync(process.execPath, [build, this.#folder], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    cpSync(join(ROOT, 'package.json'), join(this.#folder, 'package.json'))
    symlinkSync(join(ROOT, 'node_modules'), join(this.#folder, 'node_modules'))
    for (const name of PROGRAMS) {
      const source = readFileSync(join(import.meta.dirname, `${name}.ts`), 'utf8')
      writeFileSync(join(this.#folder, `${name}.js`), browserModule(source))
    }
  }

  program(name: (typeof PROGRAMS)[number]): string {
    return join(this.#folder, `${name}.js`)
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
