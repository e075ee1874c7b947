import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

export const ROOT = dirname(dirname(import.meta.dirname))
export const PACKAGE_JSON = join(ROOT, 'package.json')
/** Without the programs of the packages of this repository, which would hide those of the system. */
export const SYSTEM_PATH = process.env
  .PATH!.split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter)
export const QUIETLY = ['--silent', '--no-audit', '--no-fund']
const TIMEOUT_MS = 300_000

/** Run a command, and return what it prints. What it complains about is shown. */
export function run(command: string, args: readonly string[], cwd: string): string {
  return execFileSync(command, args, {
    cwd,
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

/** Build and pack the package of a folder. Returns the path of the archive. */
export function pack(folder: string, into: string): string {
  const printed = run('npm', ['pack', '--silent', '--pack-destination', into], folder)
  // What `prepack` prints stands before the name.
  return join(into, printed.trim().split('\n').at(-1)!)
}

/** Install packages in a project of their own. The script of `node` runs: it puts the executable into place. */
export function install(project: string, packages: readonly string[]): void {
  const content = { name: 'empty', private: true, type: 'module', allowScripts: { node: true } }
  writeFileSync(join(project, 'package.json'), JSON.stringify(content))
  run('npm', ['install', ...QUIETLY, ...packages], project)
}

/** Packages in the versions that this repository is developed with. */
export function developed(names: readonly string[]): string[] {
  const { devDependencies } = JSON.parse(readFileSync(PACKAGE_JSON, 'utf8'))
  return names.map((name) => `${name}@${devDependencies[name]}`)
}

/** What `import` takes: `anchorage`, `anchorage/log` and so on, of a package.json. */
export function entryPoints(packageJson: string): string[] {
  const { name, exports } = JSON.parse(readFileSync(packageJson, 'utf8'))
  return Object.keys(exports).map((path) => join(name, path))
}
