/** The project that `anchorage init` and `npm create anchorage` write. It needs no newer Node than npm does, and no package. */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Of the project. */
const NODE_MAJOR = 24
const TEMPLATE = fileURLToPath(new URL('./template', import.meta.url))
/** In the template. npm would leave a file of the real name out of the package. */
const GITIGNORE = 'gitignore'
/** A new repository is an empty directory, too. */
const MAY_BE_THERE = ['.git']
/** What every shell takes as it stands. */
const PLAIN = /^[\w./@-]+$/

export interface ProjectInit {
  /** Of Anchorage, such as `1.2.3`. The project takes it, or a newer one that is compatible. */
  readonly version: string
  /** How the user calls this, with the name of another directory. */
  readonly example: string
  /** Makes the error of the caller. */
  readonly refusal: (message: string, options?: ErrorOptions) => Error
}

export interface WrittenProject {
  readonly dir: string
  readonly files: readonly string[]
  /** The commands to type next. */
  readonly next: readonly string[]
  /** The same in words. */
  readonly text: string
  /** What to know of the system's Node, if it is older than the project's. */
  readonly note?: string
}

/** Write the project into a directory that is empty, or not there. If it throws a refusal, nothing was written over. */
export async function writeProject(dir: string, init: ProjectInit): Promise<WrittenProject> {
  const files = await projectFiles(init.version)
  await makeEmpty(dir, init)
  // None of them is there, unless somebody made it since.
  for (const [name, text] of files)
    await writeFile(join(dir, name), text, { flag: 'wx' }).catch((cause) => refuse(dir, cause, init))
  const isHere = resolve(dir) === process.cwd()
  const next = [isHere ? 'npm install' : `cd ${quoted(dir)} && npm install`, 'npm start a', 'npm start b']
  const names = files.map(([name]) => name)
  const isOld = Number.parseInt(process.versions.node, 10) < NODE_MAJOR
  return {
    dir: resolve(dir),
    files: names,
    next,
    text: `wrote ${names.join(', ')} to ${isHere ? 'this directory' : dir}

Next, and the last one in a second terminal, in the same directory:
${next.map((command) => `  ${command}`).join('\n')}

README.md there tells what to try.`,
    ...(isOld && {
      note: `The project brings the Node.js ${NODE_MAJOR} that it runs on: where npm warns of EBADENGINE, it means the one of your system.`,
    }),
  }
}

async function projectFiles(version: string): Promise<[name: string, text: string][]> {
  const names = (await readdir(TEMPLATE)).sort()
  const copied = names.map(
    async (name): Promise<[string, string]> => [
      name === GITIGNORE ? `.${name}` : name,
      await readFile(join(TEMPLATE, name), 'utf8'),
    ],
  )
  return [['package.json', packageJson(version)], ...(await Promise.all(copied))]
}

/** With the Node that it runs on, whatever Node the system has. Some npm install it only if it is in `allowScripts`. */
function packageJson(version: string): string {
  const project = {
    private: true,
    type: 'module',
    scripts: { start: 'node cities.ts', test: 'node --test' },
    dependencies: { anchorage: `^${version}`, node: `^${NODE_MAJOR}` },
    devDependencies: { '@types/node': `^${NODE_MAJOR}` },
    allowScripts: { node: true },
  }
  return `${JSON.stringify(project, undefined, 2)}\n`
}

/** Throws a refusal for a directory with anything in it, and then nothing was changed. */
async function makeEmpty(dir: string, init: ProjectInit): Promise<void> {
  await mkdir(dir, { recursive: true }).catch((cause) => refuse(dir, cause, init))
  const names = await readdir(dir).catch((cause) => refuse(dir, cause, init))
  const found = names.sort().find((name) => !MAY_BE_THERE.includes(name))
  if (found !== undefined)
    throw init.refusal(
      `${dir} is not empty, it has ${found} in it, so nothing was written: name a directory that is empty or not there yet, as in "${init.example}"`,
    )
}

function refuse(dir: string, cause: Error, { refusal }: ProjectInit): never {
  throw refusal(`${dir} cannot be written: ${cause.message}; name another directory`, { cause })
}

function quoted(path: string): string {
  return PLAIN.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
