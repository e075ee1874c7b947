import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Command, Party } from './party.ts'

/** How long everything of one contender may take to be ready, in milliseconds. */
const READY_MS_MAX = 8 * 60_000

/** What each contender finds: the rows, a place of its own, and processes that end with it. */
export class Stage implements AsyncDisposable {
  readonly dir: string
  readonly rows: string
  readonly items: number
  readonly rounds: number
  /** The key that a newcomer reads first. */
  readonly key: string
  /** Where the others' packages and programs are. */
  readonly cache: string
  readonly #stack = new AsyncDisposableStack()

  constructor(init: Pick<Stage, 'dir' | 'rows' | 'items' | 'rounds' | 'key' | 'cache'>) {
    ;({
      dir: this.dir,
      rows: this.rows,
      items: this.items,
      rounds: this.rounds,
      key: this.key,
      cache: this.cache,
    } = init)
  }

  use<T extends AsyncDisposable>(resource: T): T {
    return this.#stack.use(resource)
  }

  /** Start a process that stays, and wait until it is ready. */
  async start(command: Command): Promise<{ readonly party: Party; readonly line: Record<string, unknown> }> {
    const party = this.use(new Party(command))
    const { line } = await party.heard('ready', READY_MS_MAX)
    return { party, line }
  }

  /** Run a process until it says that it is ready, and have it end. */
  async run(command: Command): Promise<void> {
    await using party = new Party(command)
    await party.heard('ready', READY_MS_MAX)
  }

  async folder(name: string): Promise<string> {
    const path = join(this.dir, name)
    await mkdir(path)
    return path
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}

/** A contender that is ready: those who have the state are there. */
export interface Ready {
  /** The processes that serve a newcomer. */
  readonly providers: readonly number[]
  /** The newcomer of one run, which begins with nothing. */
  newcomer(run: number): Command | Promise<Command>
}

export interface Contender {
  readonly id: string
  readonly name: string
  /** What must be installed for it. */
  readonly needs?: 'nats-server' | 'hypercore' | 'yjs' | 'mosaik'
  prepare(stage: Stage): Promise<Ready>
}
