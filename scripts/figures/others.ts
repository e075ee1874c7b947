import { spawnSync } from 'node:child_process'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { findNatsServer, natsServerVersion } from '../../src/processes/nats-servers.ts'
import type { Contender } from './stage.ts'

export type Other = NonNullable<Contender['needs']>
export const OTHERS = ['nats-server', 'mosaik', 'hypercore', 'yjs'] as const satisfies Other[]

/** What can be measured here: the version of each, or why there is none. */
export type Others = Readonly<Record<Other, { readonly version: string } | { readonly why: string }>>

const LEFT_OUT = { why: 'it was left out by --without' }

/** How long installing from npm and compiling may take, in milliseconds. */
const [NPM_MS_MAX, CARGO_MS_MAX] = [5 * 60_000, 40 * 60_000]

/** Where the others are kept from one run to the next. No package of ours depends on them. */
export const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'anchorage', 'figures')

/**
 * Install the others at the versions of their lock files. Scripts of npm packages do not run; the native code that
 * Hypercore needs is in its packages.
 *
 * @param isolated whether they will run in a network of their own
 * @param without what to leave out
 */
export async function installOthers(isolated: boolean, without: readonly Other[] = []): Promise<Others> {
  const nats = findNatsServer()
  return {
    ...(await fromNpm()),
    mosaik: without.includes('mosaik') ? LEFT_OUT : await mosaik(isolated),
    'nats-server':
      nats === undefined
        ? { why: 'nats-server is not installed; NATS_SERVER names one' }
        : { version: natsServerVersion(nats) ?? 'of an unknown version' },
    ...Object.fromEntries(without.map((name) => [name, LEFT_OUT])),
  }
}

async function fromNpm(): Promise<Pick<Others, 'hypercore' | 'yjs'>> {
  const folder = join(cache, 'npm')
  const changed = await copy('others', ['package.json', 'package-lock.json'], folder)
  const installed = await readFile(join(folder, 'node_modules', '.package-lock.json')).catch(() => undefined)
  if (changed || installed === undefined) {
    tell('npm ci --ignore-scripts, of Hypercore and Yjs')
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline']
    await rm(join(folder, 'node_modules'), { recursive: true, force: true })
    const failure = run('npm', args, folder, NPM_MS_MAX)
    if (failure !== undefined) return { hypercore: { why: failure }, yjs: { why: failure } }
  }
  const versionOf = async (name: string) =>
    JSON.parse(await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8')) as {
      version: string
    }
  const [hypercore, yjs] = await Promise.all(['hypercore', 'yjs'].map(versionOf))
  return { hypercore: { version: hypercore!.version }, yjs: { version: yjs!.version } }
}

async function mosaik(isolated: boolean): Promise<Others['mosaik']> {
  if (!isolated)
    return { why: 'it would announce itself on the Internet: unshare and ip give it a network of its own' }
  const folder = join(cache, 'mosaik')
  await copy('mosaik', ['Cargo.toml', 'Cargo.lock', 'src/main.rs'], folder)
  tell('cargo build --release, of mosaik; the first time this takes 10 minutes or more')
  const failure = run('cargo', ['build', '--release', '--locked', '--quiet'], folder, CARGO_MS_MAX)
  if (failure !== undefined) return { why: failure }
  const [, version] = /^mosaik = .*"=([\d.]+)"/m.exec(await readFile(join(folder, 'Cargo.toml'), 'utf8'))!
  return { version: version! }
}

/** Copy what differs, so that a build finds what it has built. Resolves with whether something did. */
async function copy(from: string, names: readonly string[], folder: string): Promise<boolean> {
  let changed = false
  for (const name of names) {
    const source = await readFile(join(import.meta.dirname, from, name))
    const target = join(folder, name)
    const there = await readFile(target).catch(() => undefined)
    if (there?.equals(source)) continue
    await mkdir(join(target, '..'), { recursive: true })
    await writeFile(target, source)
    changed = true
  }
  return changed
}

/** Undefined if it went well, or else why not. */
function run(program: string, args: string[], cwd: string, timeout: number): string | undefined {
  const { error, status, stderr } = spawnSync(program, args, { cwd, timeout, encoding: 'utf8' })
  if (error !== undefined) return `${program}: ${error.message}`
  return status === 0 ? undefined : `${program} failed: ${stderr.trim().split('\n').slice(-3).join(' ')}`
}

function tell(text: string): void {
  process.stderr.write(`installing into ${cache}: ${text}\n`)
}
