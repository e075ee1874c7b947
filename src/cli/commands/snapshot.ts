import { SealReader } from '../../replica/snapshots/seal-reader.ts'
import { type Context, EXIT } from '../context.ts'
import { NotSealed } from '../errors.ts'
import { existingLog, withAnyLog } from '../log/open-log.ts'
import { count, shortId } from '../output.ts'
import { Visit } from '../visit.ts'

export interface SnapshotOptions {
  /** Until the root is sealed. */
  readonly wait: boolean
  /** How long to wait for that, in milliseconds. */
  readonly timeout: number
}

/** How often the command looks whether the electors that have not attested are still there, in milliseconds. */
const POLL_INTERVAL_MS = 250

/** Have the group mark an anchor now: all replicas capture there, and offer the snapshot. */
export async function snapshot(context: Context, { wait, timeout }: SnapshotOptions): Promise<number> {
  const { output } = context
  return await withAnyLog(context, existingLog(context), async (log) => {
    await using visit = await Visit.begin(context, log)
    const anchor = await visit.mark()
    if (!wait) {
      output.result({ anchor, sealed: false, root: null }, `entry ${count(anchor.index)} is marked`)
      return EXIT.ok
    }
    const sealing = new Sealing(visit, anchor.index)
    const root = await visit.waiting(
      () => `for the seal of entry ${count(anchor.index)}${sealing.awaited}`,
      (signal) => sealing.root(timeout, signal),
    )
    const hex = Buffer.from(root).toString('hex')
    output.result({ anchor, sealed: true, root: hex }, `entry ${count(anchor.index)} is sealed, root ${hex}`)
    return EXIT.ok
  })
}

/** The seal of an anchor that was marked a moment ago, as the log tells it. */
class Sealing {
  readonly #visit: Visit
  readonly #seals: SealReader
  readonly #anchor: number

  constructor(visit: Visit, anchor: number) {
    this.#visit = visit
    this.#seals = new SealReader(visit.log)
    this.#anchor = anchor
  }

  /** Who has not attested, for people. */
  get awaited(): string {
    const silent = this.#silent
    return silent.length === 0 ? '' : ` by ${silent.map(shortId).join(', ')}`
  }

  /** Rejects with `NotSealed` when it takes too long, or can never be, and with `Disputed`. */
  async root(timeoutMs: number, signal: AbortSignal): Promise<Uint8Array> {
    const over = new AbortController()
    const look = () => {
      const seal = this.#seals.reading(this.#anchor)
      const present = new Set(this.#visit.visitor.replicas.map(({ id }) => id))
      if (seal === undefined || seal.mayBeSealedBy(seal.silent.filter((id) => present.has(id)))) return
      over.abort(
        new NotSealed(
          this.#anchor,
          this.#silent.filter((id) => !present.has(id)),
          'gone',
        ),
      )
    }
    const looking = setInterval(look, POLL_INTERVAL_MS)
    const late = setTimeout(() => over.abort(new NotSealed(this.#anchor, this.#silent, timeoutMs)), timeoutMs)
    try {
      const anchor = { epoch: this.#visit.log.epoch, index: this.#anchor }
      return (await this.#seals.read(anchor, AbortSignal.any([signal, over.signal]))).root
    } finally {
      clearInterval(looking)
      clearTimeout(late)
    }
  }

  get #silent(): readonly string[] {
    return this.#seals.reading(this.#anchor)?.silent ?? []
  }
}
