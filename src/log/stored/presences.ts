import { createHash, randomInt } from 'node:crypto'
import { checkPresence } from '../limits.ts'
import type { SignalOptions } from '../log.ts'
import type { Presence, PresenceStore } from '../presence.ts'
import { decodeBytes, encodeBytes } from './entry-lines.ts'
import { unlessUnavailable } from './patience.ts'
import type { LogRecord, LogStore } from './storage.ts'

/** The log whose store it is. */
interface Keeper {
  readonly maxEntryBytes: number
  readonly isClosed: boolean
  use<T>(work: (store: LogStore) => Promise<T>, options?: SignalOptions): Promise<T>
  /** At once, and again whenever there may be news. */
  looks(options?: SignalOptions): AsyncIterable<unknown>
}

/** Node's largest random integer is below it. Two versions of a member are hardly ever the same. */
const VERSIONS = 2 ** 47

/** Each member's presence is a record. */
export class StoredPresences implements PresenceStore {
  readonly #log: Keeper
  readonly #place: string

  constructor(log: Keeper, place: string) {
    this.#log = log
    this.#place = place
  }

  async announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void> {
    await this.#log.use(async (store) => {
      checkPresence(member, data, ttlMs, this.#log.maxEntryBytes, { place: this.#place })
      const presence = { member, data: encodeBytes(data), ttlMs, version: randomInt(VERSIONS) }
      await store.put(nameOf(member), JSON.stringify(presence))
    }, options)
  }

  async withdraw(member: string, options?: SignalOptions): Promise<void> {
    await this.#log.use((store) => store.remove(nameOf(member)), options)
  }

  async read(options?: SignalOptions): Promise<Presence[]> {
    return (await this.#log.use((store) => store.records(), options)).flatMap(presenceIn)
  }

  async *watch(options?: SignalOptions): AsyncGenerator<Presence[]> {
    let seen: string | undefined
    for await (const _ of this.#log.looks(options)) {
      if (this.#log.isClosed) return
      const presences = await unlessUnavailable(this.read())
      if (presences === undefined) continue
      const versions = presences.map(({ member, version }) => JSON.stringify([member, version]))
      const state = versions.sort().join()
      if (state === seen) continue
      seen = state
      yield presences
    }
  }
}

const PREFIX = 'member-'

/** A member's name may have any letters, and be longer than a file's. */
function nameOf(member: string): string {
  return PREFIX + createHash('sha256').update(member).digest('hex')
}

function presenceIn({ name, text, ageMs }: LogRecord): Presence[] {
  if (!name.startsWith(PREFIX)) return []
  const { data, ...presence } = JSON.parse(text)
  return [{ ...presence, data: decodeBytes(data), ageMs }]
}
