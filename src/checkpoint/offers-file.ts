import { MalformedLeases } from '../leases/errors.ts'
import { type LeaseSnapshot, LeaseTable } from '../leases/lease-table.ts'
import type { Clock } from '../time/clock.ts'
import type { Storage } from './storage.ts'

/**
 * The deadlines of a replica's offers, for its next life. If they are lost, so are the offers, and nothing
 * else.
 */
export class OffersFile {
  readonly #path: string
  readonly #storage: Storage
  readonly #clock: Clock
  #written = ''

  constructor(path: string, storage: Storage, clock: Clock) {
    this.#path = path
    this.#storage = storage
    this.#clock = clock
  }

  /**
   * The offers that have not expired, by their anchors' keys. None if there is no file. Throws what the
   * disk says if the file cannot be read, and `MalformedLeases` if it is no table of leases.
   */
  async read(): Promise<LeaseTable<string>> {
    const table = new LeaseTable<string>({
      clock: this.#clock,
      isKey: (key): key is string => typeof key === 'string',
    })
    try {
      table.reload(this.#parse((await this.#storage.read(this.#path)).toString()))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    return table
  }

  #parse(text: string): unknown {
    try {
      return JSON.parse(text)
    } catch {
      throw new MalformedLeases(`${this.#path} is no JSON`)
    }
  }

  /** Write them down, if they have changed. */
  async write(leases: LeaseSnapshot<string>): Promise<void> {
    const text = JSON.stringify(leases.leases)
    if (text === this.#written) return
    const draft = `${this.#path}.new`
    await this.#storage.write(draft, Buffer.from(JSON.stringify(leases)))
    await this.#storage.rename(draft, this.#path)
    this.#written = text
  }
}
