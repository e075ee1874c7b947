import type { Log, LogBackend, LogInit, NewEntry } from '../../log/log.ts'
import type { NewMessage } from '../../message.ts'
import { asError } from '../../thrown.ts'
import { commands, logInit } from './entries.ts'
import type { Ability, LogHarness, LogPlaceUnderTest } from './harness.ts'
import { Waits, watched } from './waits.ts'

/** The place of one test, with the handles that it opened there. */
export class Scene {
  readonly #harness: LogHarness
  readonly #waits = new Waits()
  readonly #opened: Log[] = []
  #place: LogPlaceUnderTest | undefined
  #log: Log | undefined

  constructor(harness: LogHarness) {
    this.#harness = harness
  }

  /** What the test waits for now. */
  get waits(): string {
    return String(this.#waits)
  }

  /** The first handle. */
  get log(): Log {
    return there(this.#log)
  }

  async begin(): Promise<void> {
    this.#place = await this.#ofHarness('make()', this.#harness.make())
    this.#log = await this.#open(this.#place.backend, logInit())
  }

  /** Open the log once more, as another process does. */
  readonly open = (overrides: Partial<LogInit> = {}): Promise<Log> => this.openFor(logInit(overrides))

  readonly openFor = (init: LogInit): Promise<Log> => this.#open(there(this.#place).reopen(), init)

  async #open(backend: LogBackend, init: LogInit): Promise<Log> {
    const log = await this.#waits.of(`open() by ${init.author}`, backend.open(init))
    this.#opened.push(log)
    const { messages } = this.#harness
    return watched(messages === undefined ? log : addressing(log, messages.subject), this.#waits)
  }

  readonly append = async (...texts: string[]): Promise<void> => {
    await this.log.append(commands(...texts))
  }

  readonly recreate = (): Promise<void> => this.#ofHarness('recreate()', this.#offered('recreate')())

  /** Keep a copy of the log. The returned function puts it back. */
  readonly save = async (): Promise<() => Promise<void>> => {
    const restore = await this.#ofHarness('save()', this.#offered('save')())
    return () => this.#ofHarness('what save() returned', restore())
  }

  /** Keep every handle from the servers, until the returned function is called. */
  readonly cutOff = async (): Promise<() => Promise<void>> => {
    const restore = await this.#ofHarness('cutOff()', this.#offered('cutOff')())
    return () => this.#ofHarness('what cutOff() returned', restore())
  }

  /** The subject on which commands are published; undefined if the log is Anchorage's own. */
  get subject(): string | undefined {
    return this.#harness.messages?.subject
  }

  /** Whose entry a command of this author is. */
  readonly authorOf = (author: string): string => (this.subject === undefined ? author : '')

  /** Write a message as others do. */
  readonly publish = (message: NewMessage, payload: Uint8Array): Promise<void> =>
    this.#ofHarness('publish()', this.#offered('publish')(message, payload))

  /** The outcome of something else, which is named if the test waits too long. */
  readonly wait = <T>(what: string, promise: Promise<T>): Promise<T> => this.#waits.of(what, promise)

  async end(): Promise<void> {
    const place = this.#place
    if (place === undefined) return
    try {
      await Promise.all(this.#opened.map((log) => this.#waits.of('close()', log.close())))
    } finally {
      await this.#ofHarness('dispose()', place.dispose())
    }
  }

  async #ofHarness<T>(what: string, work: Promise<T>): Promise<T> {
    try {
      return await this.#waits.of(`${what} of the harness`, work)
    } catch (error) {
      throw new Error(`the harness failed, in ${what}: ${asError(error).message}`, { cause: error })
    }
  }

  #offered<A extends Exclude<Ability, 'prune'>>(accident: A): NonNullable<LogPlaceUnderTest[A]> {
    const place = there(this.#place)
    const offered = place[accident]
    if (offered !== undefined) return offered.bind(place) as NonNullable<LogPlaceUnderTest[A]>
    throw new RangeError(
      `the harness's place has no ${accident}(): write it, or say why not in lacks: { ${accident}: 'the reason' }`,
    )
  }
}

/** Commands that say nothing of a message are given one. */
function addressing(log: Log, subject: string): Log {
  const append: Log['append'] = (entries, options) =>
    log.append(
      entries.map((entry): NewEntry => {
        const isBare = entry.kind === 'command' && !('message' in entry)
        return isBare ? { ...entry, message: { subject } } : entry
      }),
      options,
    )
  return new Proxy(log, {
    get(target, key) {
      if (key === 'append') return append
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the place of this test was not made yet')
  return value
}
