import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { placeOf, type StopKey } from './walkthrough.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = join(ROOT, 'src/cli/main.ts')
const BY_NAME = new URL('../setup/package-by-name.ts', import.meta.url).href
/** What a step waits for comes in this time, or never. */
const WAIT_MS_MAX = 120_000

/**
 * The programs of the page, against the sources. `npm install` links what is installed here already, so that nothing comes from a
 * registry, and a package that the page forgets is missing. Without names it takes those in package.json.
 */
const NPX = `#!/bin/sh
[ -e node_modules/"$1" ] || { echo "$1 is not installed" >&2; exit 127; }
case "$1" in
  node) shift; exec "${process.execPath}" --import "${BY_NAME}" "$@" ;;
  anchorage) shift; exec "${process.execPath}" --import "${BY_NAME}" "${MAIN}" "$@" ;;
esac
echo "no program of the package: $1" >&2; exit 127
`
const NPM = `#!/bin/sh
if [ "$1" != install ]; then PATH="\${PATH#*:}" exec npm "$@"; fi
shift
[ $# -gt 0 ] || set -- $("${process.execPath}" -p "Object.keys(require('./package.json').dependencies).join(' ')")
for name in "$@"; do
  name="\${name%@[0-9]*}"
  source="${ROOT}node_modules/$name"
  [ "$name" = anchorage ] && source="${ROOT}"
  [ -e "$source" ] || { echo "no such package here: $name" >&2; exit 1; }
  mkdir -p "node_modules/$(dirname "$name")"
  ln -sfn "$source" "node_modules/$name"
done
`

/** A folder in which somebody follows a page, with a shell and terminals. */
export class Terminals implements AsyncDisposable {
  readonly #env: NodeJS.ProcessEnv
  readonly #terminals = new Map<string, Terminal>()
  /** Where the shell is. A `cd` moves it. */
  cwd: string

  constructor(folder: string, path: readonly string[] = []) {
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    for (const [name, program] of Object.entries({ npx: NPX, npm: NPM }))
      writeFileSync(join(bin, name), program, { mode: 0o755 })
    const own = Object.entries(process.env).filter(([name]) => !/^(npm_|ANCHORAGE_(?!TEST_))/i.test(name))
    const PATH = [bin, ...path, process.env.PATH].join(':')
    this.#env = { ...Object.fromEntries(own), PATH, NO_COLOR: '1' }
    this.cwd = join(folder, 'home')
    mkdirSync(this.cwd)
  }

  /** Run commands to their end. Rejects when one ends with another code than 0, or prints something else. */
  async run(commands: string, expected: readonly string[]): Promise<void> {
    // The shell says on a channel of its own where it ended up. It has a process group, so that all of it can be killed.
    const shell = spawn('sh', ['-ec', `${commands}\npwd >&3`], {
      cwd: this.cwd,
      env: this.#env,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
    })
    const timer = setTimeout(() => process.kill(-shell.pid!, 'SIGKILL'), WAIT_MS_MAX)
    const [[code], stdout, stderr, cwd] = await Promise.all([
      once(shell, 'close'),
      text(shell.stdout!),
      text(shell.stderr!),
      text(shell.stdio[3] as NodeJS.ReadableStream),
    ])
    clearTimeout(timer)
    const printed = `${commands}It printed:\n${stdout}${stderr}`
    if (code !== 0) throw new Error(`this ended with code ${code}:\n${printed}`)
    if (placeOf(expected, stdout.split('\n')) === undefined)
      throw new Error(`this did not print what the page shows:\n${printed}`)
    this.cwd = cwd.trim()
  }

  /** Start a command in a terminal that is free, or whose program is ended so. */
  async start(name: string, command: string, stop: StopKey): Promise<void> {
    await this.end(name)
    this.#terminals.set(name, new Terminal(command, { cwd: this.cwd, env: this.#env }, stop))
  }

  /** Resolves when the terminal shows these lines, after those that it showed before. */
  async shows(name: string, lines: readonly string[]): Promise<void> {
    await this.#terminals.get(name)!.shows(lines)
  }

  type(name: string, lines: string): void {
    this.#terminals.get(name)!.type(lines)
  }

  async end(name: string): Promise<void> {
    await this.#terminals.get(name)?.end()
    this.#terminals.delete(name)
  }

  async endAll(): Promise<void> {
    for (const name of [...this.#terminals.keys()].sort()) await this.end(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#terminals.values(), (terminal) => terminal.kill()))
  }
}

class Terminal {
  readonly #command: string
  readonly #stop: StopKey
  readonly #child: ChildProcess
  readonly #exit: Promise<unknown[]>
  readonly #printed: string[] = []
  #seen = 0

  constructor(command: string, options: { cwd: string; env: NodeJS.ProcessEnv }, stop: StopKey) {
    this.#command = command
    this.#stop = stop
    this.#child = spawn('sh', ['-c', `exec ${command}`], options)
    this.#exit = once(this.#child, 'close')
    for (const output of [this.#child.stdout!, this.#child.stderr!])
      createInterface({ input: output }).on('line', (line) => {
        this.#printed.push(line)
        this.#child.emit('printed')
      })
  }

  async shows(lines: readonly string[]): Promise<void> {
    const signal = AbortSignal.timeout(WAIT_MS_MAX)
    for (;;) {
      const place = placeOf(lines, this.#printed.slice(this.#seen))
      if (place !== undefined) {
        this.#seen += place
        return
      }
      if (this.#child.exitCode !== null) throw this.#failed(`ended with code ${this.#child.exitCode}`)
      const news = [once(this.#child, 'printed', { signal }), once(this.#child, 'close', { signal })]
      await Promise.race(news).catch(() => {
        throw this.#failed(`did not show: ${lines.join('\n')}`)
      })
    }
  }

  type(lines: string): void {
    this.#child.stdin!.write(lines)
  }

  async end(): Promise<void> {
    if (this.#stop === 'Ctrl-D') this.#child.stdin!.end()
    else this.#child.kill(this.#stop === 'Ctrl-C' ? 'SIGINT' : 'SIGQUIT')
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), WAIT_MS_MAX)
    const [code, signal] = await this.#exit
    clearTimeout(timer)
    const isKilled = this.#stop === 'Ctrl-\\' && signal === 'SIGQUIT'
    if (code !== 0 && !isKilled) throw this.#failed(`ended with code ${code} after ${this.#stop}`)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exit
  }

  #failed(how: string): Error {
    return new Error(`${this.#command} ${how}\nIt printed:\n${this.#printed.join('\n')}`)
  }
}
