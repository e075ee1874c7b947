import { setTimeout as delay } from 'node:timers/promises'
import { jsonCodec, stringCodec } from '../../src/machine/codec.ts'
import type { Written } from '../../src/machine/machine.ts'
import { MapCommands } from '../../src/machines/map/map-commands.ts'
import { ProcessEnded, type ReplicaProcess } from '../../src/testing/index.ts'
import type { Chance } from '../../src/testing/simulation/chance.ts'
import { asError } from '../../src/thrown.ts'
import { markOf } from './ledger.ts'
import { codeOf, Tally } from './tally.ts'
import type { Verdicts } from './verdicts.ts'

/** A write that was tried. */
export interface Write {
  readonly what: string
  readonly mark: string
  /** Nothing else makes this command, so that it must not be in the log twice. */
  readonly isUnique: boolean
  /** The PeerId of the replica that it was given to. */
  readonly author: string
  /** Where the writer was told that it is, and what it gave; undefined without an acknowledgement. */
  readonly told: { readonly index: number; readonly result: unknown } | undefined
  /** The code of the error that the writer was told in the place of an acknowledgement. */
  readonly code: string | undefined
}

interface Deed {
  readonly what: string
  readonly command: Uint8Array
  readonly isUnique: boolean
}

const KEYS = 400
/** Keys that are written under a condition: few, so that writers meet. */
const CONTESTED = 20
const TTLS_MS = [200, 1_000, 5_000, 30_000]
/** A value is long enough that a state has some hundred chunks. */
const VALUE_LENGTH = 300
const FILL_COMMANDS = 40
const FILL_KEYS = 200
/** Clears are rare: a state must have time to grow. */
const WEIGHTS = {
  set: 40,
  ttl: 20,
  many: 6,
  delete: 6,
  deleteMany: 3,
  condition: 15,
  persist: 4,
  clear: 0.03,
}
const PAUSE_MS_MIN = 5
const PAUSE_MS_MAX = 40
/** Pause when no replica takes writes, in milliseconds. */
const NOBODY_MS = 100

/** Several who write at once, each one write at a time, to any replica that runs. */
export class Writers {
  readonly errors = new Tally()
  readonly #commands = new MapCommands<string, string>(stringCodec, jsonCodec())
  readonly #takers: () => readonly ReplicaProcess[]
  readonly #chance: Chance
  readonly #verdicts: Verdicts
  readonly #loops: Promise<void>[]
  readonly #contested = new Map<string, string>()
  #writes: Write[] = []
  #acknowledged = 0
  #count = 0
  readonly #inFlight = new Set<Promise<void>>()
  #isStopped = false
  #resumed = Promise.withResolvers<void>()

  constructor(count: number, takers: () => readonly ReplicaProcess[], chance: Chance, verdicts: Verdicts) {
    this.#takers = takers
    this.#chance = chance
    this.#verdicts = verdicts
    this.#loops = Array.from({ length: count }, () => this.#write())
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Begin to write, or go on. */
  resume(): void {
    this.#resumed.resolve()
  }

  /** Begin no more writes. Resolves when those that were begun are over; false if some are not in time. */
  async pause(timeoutMs: number): Promise<boolean> {
    this.#resumed = Promise.withResolvers()
    const late = new AbortController()
    const over = Promise.all(this.#inFlight).then(() => true)
    const timeout = delay(timeoutMs, false, { signal: late.signal }).catch(() => false)
    const inTime = await Promise.race([over, timeout])
    late.abort()
    return inTime
  }

  /** What was tried since the last call, as far as it is over. */
  take(): readonly Write[] {
    const writes = this.#writes
    this.#writes = []
    return writes
  }

  /** Begin to write so many keys that whoever has no state has something to fetch. */
  fill(taker: ReplicaProcess): void {
    void this.#track(this.#fill(taker))
  }

  stop(): void {
    this.#isStopped = true
    this.resume()
  }

  /** Resolves when nobody writes any more. */
  async stopped(): Promise<void> {
    await Promise.all(this.#loops)
  }

  async #write(): Promise<void> {
    for (;;) {
      await this.#resumed.promise
      if (this.#isStopped) return
      const takers = this.#takers()
      if (takers.length === 0) {
        await delay(NOBODY_MS)
        continue
      }
      await this.#track(this.#submit(this.#chance.pick(takers), this.#deed()))
      await delay(this.#chance.integer(PAUSE_MS_MIN, PAUSE_MS_MAX))
    }
  }

  async #fill(taker: ReplicaProcess): Promise<void> {
    for (let n = 0; n < FILL_COMMANDS; n++) {
      const value = this.#value()
      const entries = Array.from(
        { length: FILL_KEYS },
        (_, key) => [`fill-${n * FILL_KEYS + key}`, value] as const,
      )
      const command = this.#commands.setMany(entries)
      await this.#submit(taker, { what: `fill ${n}`, command, isUnique: true })
    }
  }

  /** What is on its way is waited for when the writers pause. */
  #track(writing: Promise<void>): Promise<void> {
    this.#inFlight.add(writing)
    return writing.finally(() => this.#inFlight.delete(writing))
  }

  async #submit(taker: ReplicaProcess, { what, command, isUnique }: Deed): Promise<void> {
    const write = { what, mark: markOf(command), isUnique, author: taker.id }
    try {
      const { position, result } = await taker.call<Written<unknown>>('submit', command)
      this.#acknowledged++
      this.#writes.push({ ...write, told: { index: position.index, result }, code: undefined })
    } catch (thrown) {
      const error = asError(thrown)
      const code = codeOf(error)
      this.errors.add(code ?? error.name)
      this.#writes.push({ ...write, told: undefined, code })
      if (code === undefined && !(error instanceof ProcessEnded))
        this.#verdicts.broken(
          'always an answer',
          `${taker.name} refused ${what} without a code: ${error.message}`,
        )
    }
  }

  #deed(): Deed {
    const chance = this.#chance
    const commands = this.#commands
    const key = this.#key()
    const kind = chance.weighted(WEIGHTS)
    switch (kind) {
      case 'set':
        return unique(`set ${key}`, commands.set(key, this.#value()))
      case 'ttl':
        return unique(
          `set ${key} for a while`,
          commands.set(key, this.#value(), { ttlMs: chance.pick(TTLS_MS) }),
        )
      case 'many': {
        const value = this.#value()
        const entries = Array.from({ length: chance.integer(2, 8) }, () => [this.#key(), value] as const)
        return unique('set many', commands.setMany(entries))
      }
      case 'condition':
        return this.#condition()
      case 'delete':
        return repeated(`delete ${key}`, commands.delete(key))
      case 'deleteMany':
        return repeated('delete many', commands.deleteMany([key, this.#key(), this.#key()]))
      case 'persist':
        return repeated(`persist ${key}`, commands.persist(key))
      case 'clear':
        return repeated('clear', commands.clear())
      default:
        return kind satisfies never
    }
  }

  /** A write under the condition that nobody was faster, which often does not hold. */
  #condition(): Deed {
    const key = `contested-${this.#chance.integer(0, CONTESTED - 1)}`
    const value = this.#value()
    const expected = this.#contested.get(key)
    this.#contested.set(key, value)
    return unique(`set ${key} if it is as expected`, this.#commands.compareAndSet(key, expected, value))
  }

  #key(): string {
    return `key-${this.#chance.integer(0, KEYS - 1)}`
  }

  #value(): string {
    return `${this.#count++} `.padEnd(VALUE_LENGTH, this.#chance.next().toString(36).slice(2))
  }
}

function unique(what: string, command: Uint8Array): Deed {
  return { what, command, isUnique: true }
}

function repeated(what: string, command: Uint8Array): Deed {
  return { what, command, isUnique: false }
}
