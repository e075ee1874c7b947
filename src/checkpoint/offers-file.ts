import { readFile, rename, writeFile } from 'node:fs/promises'
import { type LeaseSnapshot, LeaseTable } from '../leases/lease-table.ts'
import type { Clock } from '../time/clock.ts'

/** The deadlines of what a replica offers, for its next life. Losing them loses an offer, and nothing else. */
export class OffersFile {
  readonly #path: string
  readonly #clock: Clock
  #written = ''

  constructor(path: string, clock: Clock) {
    this.#path = path
    this.#clock = clock
  }

  /** What was offered and lives still, by each anchor's key. Throws what the disk says, and for what is no such file. */
  async read(): Promise<LeaseTable<string>> {
    const table = new LeaseTable<string>({
      clock: this.#clock,
      isKey: (key): key is string => typeof key === 'string',
    })
    try {
      table.reload(JSON.parse(await readFile(this.#path, 'utf8')))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    return table
  }

  /** Write them down, if they have changed. */
  async write(leases: LeaseSnapshot<string>): Promise<void> {
    const text = JSON.stringify(leases.leases)
    if (text === this.#written) return
    await writeFile(`${this.#path}.new`, JSON.stringify(leases), { mode: 0o600 })
    await rename(`${this.#path}.new`, this.#path)
    this.#written = text
  }
}
