import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageVersion } from '../../package-version.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'

/** Of the project. */
const NODE_MAJOR = 24
const TEMPLATE = fileURLToPath(new URL('./template', import.meta.url))
/** In the template. npm would leave a file of the real name out of the package. */
const GITIGNORE = 'gitignore'
/** A new repository is an empty directory, too. */
const MAY_BE_THERE = ['.git']
/** What every shell takes as it stands. */
const PLAIN = /^[\w./@-]+$/

/** Write a small project into a directory that is empty, or not there. Needs no newer Node than npm does. */
export async function init({ output }: Context, dir: string): Promise<number> {
  const files = await projectFiles()
  await makeEmpty(dir)
  // None of them is there, unless somebody made it since.
  for (const [name, text] of files)
    await writeFile(join(dir, name), text, { flag: 'wx' }).catch((cause) => refuse(dir, cause))
  const isHere = resolve(dir) === process.cwd()
  const next = [isHere ? 'npm install' : `cd ${quoted(dir)} && npm install`, 'npm start a', 'npm start b']
  const names = files.map(([name]) => name)
  output.result(
    { dir: resolve(dir), files: names, next },
    `wrote ${names.join(', ')} to ${isHere ? 'this directory' : dir}

Next, and the last one in a second terminal, in the same directory:
${next.map((command) => `  ${command}`).join('\n')}

README.md there tells what to try.`,
  )
  if (Number.parseInt(process.versions.node, 10) < NODE_MAJOR)
    output.note(
      `The project brings the Node.js ${NODE_MAJOR} that it runs on: where npm warns of EBADENGINE, it means the one of your system.`,
    )
  return EXIT.ok
}

async function projectFiles(): Promise<[name: string, text: string][]> {
  const names = (await readdir(TEMPLATE)).sort()
  const copied = names.map(
    async (name): Promise<[string, string]> => [
      name === GITIGNORE ? `.${name}` : name,
      await readFile(join(TEMPLATE, name), 'utf8'),
    ],
  )
  return [['package.json', packageJson()], ...(await Promise.all(copied))]
}

/** With the Node that it runs on, whatever Node the system has. Some npm install it only if it is in `allowScripts`. */
function packageJson(): string {
  const project = {
    private: true,
    type: 'module',
    scripts: { start: 'node cities.ts', test: 'node --test' },
    dependencies: { anchorage: `^${packageVersion()}`, node: `^${NODE_MAJOR}` },
    devDependencies: { '@types/node': `^${NODE_MAJOR}` },
    allowScripts: { node: true },
  }
  return `${JSON.stringify(project, undefined, 2)}\n`
}

/** Throws `UsageError` for a directory with anything in it, and then nothing was changed. */
async function makeEmpty(dir: string): Promise<void> {
  await mkdir(dir, { recursive: true }).catch((cause) => refuse(dir, cause))
  const names = await readdir(dir).catch((cause) => refuse(dir, cause))
  const found = names.sort().find((name) => !MAY_BE_THERE.includes(name))
  if (found !== undefined)
    throw new UsageError(
      `${dir} is not empty, it has ${found} in it, so nothing was written: name a directory that is empty or not there yet, as in "anchorage init my-app"`,
    )
}

function refuse(dir: string, cause: Error): never {
  throw new UsageError(`${dir} cannot be written: ${cause.message}; name another directory`, { cause })
}

function quoted(path: string): string {
  return PLAIN.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
