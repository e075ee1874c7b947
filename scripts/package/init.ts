/** The project that `anchorage init` of the installed package writes, as one finds it who has only what the system has. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { QUIETLY, SYSTEM_PATH } from './archive.ts'

const TIMEOUT_MS = 300_000
const MAIN = 'node_modules/anchorage/dist/cli/main.js'
const APP = 'app'
const APP_OF_OLD_NODE = 'app-of-old-node'
const REMEDY = '"npm install anchorage node@24"'

// TypeScript exports no path to its compiler. So it is found relative to the path that is exported.
const TSC = join(dirname(fileURLToPath(import.meta.resolve('typescript/package.json'))), 'bin', 'tsc')

/** With the system's Node and npm: those of this repository would hide that the project's own are not there. */
function runAlone(command: string, args: readonly string[], cwd: string): string {
  const options = { cwd, timeout: TIMEOUT_MS, env: { ...process.env, PATH: SYSTEM_PATH } }
  return execFileSync(command, args, { ...options, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Throws if the project of `archive`, which is installed in `folder`, does not what its page says. */
export function tryInit(folder: string, archive: string): void {
  runAlone('npx', ['anchorage', 'init', APP], folder)
  const app = join(folder, APP)
  runAlone('npm', ['install', ...QUIETLY, archive], app)
  const tests = runAlone('npm', ['test'], app)
  if (!/^\S* ?pass [1-9]/m.test(tests)) throw new Error(`npm test of the project printed ${tests}`)
  runAlone(process.execPath, [TSC], app)

  // The package supports no older Node, but for this.
  runAlone('node', [MAIN, 'init', APP_OF_OLD_NODE], folder)
  const source = (name: string) => readFileSync(join(folder, name, 'cities.ts'), 'utf8')
  if (source(APP) !== source(APP_OF_OLD_NODE)) throw new Error('the system’s Node wrote another project')
  const version = runAlone('node', ['--version'], folder).trim()
  if (Number.parseInt(version.slice(1), 10) >= 24) return
  if (!refusal(folder).includes(REMEDY)) throw new Error(`on Node ${version} nobody says to type ${REMEDY}`)
}

function refusal(folder: string): string {
  try {
    return runAlone('node', [MAIN, '--help'], folder)
  } catch (error) {
    return (error as { readonly stderr: string }).stderr
  }
}
