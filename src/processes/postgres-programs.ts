import { execFile, execFileSync } from 'node:child_process'
import { chownSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { folderWith, hasPrograms } from './installed.ts'
import { type RunAs, type ServerCommand, ServerProcess } from './server-process.ts'

/** What a start needs. Debian has them together, in a folder that is not in the PATH. */
const PROGRAMS = ['initdb', 'pg_basebackup', 'pg_ctl', 'postgres', 'psql']
/** Debian has a folder there for each version. */
const VERSIONS = '/usr/lib/postgresql'
/** Users that may run the servers for root, the first that there is: the programs refuse to run as root. */
const USERS = ['postgres', 'nobody']
/** How long a program that ends by itself may take, in milliseconds. `initdb` takes one second. */
const RUN_MS_MAX = 120_000

const run = promisify(execFile)

/**
 * The folder of PostgreSQL's programs, or undefined. Looks at the variable `POSTGRES_BIN`, in the PATH, and then
 * for the newest version of Debian's packages.
 */
export function findPostgres(): string | undefined {
  const { POSTGRES_BIN } = process.env
  if (POSTGRES_BIN !== undefined) return hasPrograms(POSTGRES_BIN, PROGRAMS) ? POSTGRES_BIN : undefined
  const newestFirst = versions().toSorted((a, b) => Number(b) - Number(a))
  return folderWith(
    PROGRAMS,
    newestFirst.map((version) => join(VERSIONS, version, 'bin')),
  )
}

function versions(): string[] {
  try {
    return readdirSync(VERSIONS)
  } catch {
    return []
  }
}

/** A folder for temporary files which the user that runs the programs may enter: root's own may be closed to it. */
export function temporaryFolder(): string {
  if (process.getuid?.() !== 0) return tmpdir()
  return [tmpdir(), '/tmp', '/var/tmp'].find(isOpen) ?? tmpdir()
}

/** Whether everybody may enter a folder and those that it is in. */
function isOpen(folder: string): boolean {
  const isEnterable = ((statSync(folder, { throwIfNoEntry: false })?.mode ?? 0) & 0o001) !== 0
  return isEnterable && (dirname(folder) === folder || isOpen(dirname(folder)))
}

/** PostgreSQL's programs, run in a directory by a user who is not root. */
export class PostgresPrograms {
  readonly dir: string
  readonly #folder: string
  readonly #runAs: RunAs

  /** `dir` then belongs to the user that runs them. */
  constructor(folder: string, dir: string) {
    this.dir = dir
    this.#folder = folder
    this.#runAs = process.getuid?.() === 0 ? unprivileged() : {}
    this.#own(dir)
  }

  /** Write a file that nobody else can read. */
  write(path: string, text: string): void {
    writeFileSync(path, text, { mode: 0o600 })
    this.#own(path)
  }

  /** Resolves with what the program printed, when it has ended. */
  async run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const command = this.#command(program, env)
    const { stdout } = await run(command.program, args, { ...command, timeout: RUN_MS_MAX })
    return stdout
  }

  /** A server, which writes what it has to say to a file. */
  server(args: readonly string[], output: string): ServerProcess {
    return new ServerProcess({ ...this.#command('postgres', {}), args, output })
  }

  #command(program: string, env: NodeJS.ProcessEnv): Omit<ServerCommand, 'args'> {
    const { PATH } = process.env
    return {
      ...this.#runAs,
      program: join(this.#folder, program),
      cwd: this.dir,
      // Nobody's `PGHOST` or `PGDATA`, and messages in English.
      env: { PATH, LC_ALL: 'C', ...env },
    }
  }

  #own(path: string): void {
    const { uid, gid } = this.#runAs
    if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid)
  }
}

function unprivileged(): RunAs {
  for (const user of USERS) {
    try {
      const [uid, gid] = ['-u', '-g'].map((what) =>
        Number(execFileSync('id', [what, user], { stdio: ['ignore', 'pipe', 'ignore'] })),
      )
      return { uid: uid!, gid: gid! }
    } catch {
      // There is no such user.
    }
  }
  return {}
}
