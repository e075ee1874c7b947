import { checkBytes, checkInteger } from '../../bounds.ts'
import { encodeControl } from '../../group/control.ts'
import { GroupOutdated } from '../../group/errors.ts'
import { FIRST_FORMAT } from '../../group/formats.ts'
import type { GroupState } from '../../group/group-state.ts'
import { EpochChanged } from '../../log/errors.ts'
import type { Log, NewEntry } from '../../log/log.ts'
import type { SubmitOptions, Written } from '../../machine/machine.ts'
import type { NewMessage } from '../../message.ts'
import type { Applier } from './applier.ts'
import type { Positions } from './positions.ts'
import type { Conditions } from './writes.ts'

/** The longest key of a write, in bytes. Its entry carries it; the group remembers a hash. */
export const WRITE_KEY_BYTES_MAX = 256

export interface SubmissionsInit<Result> {
  readonly log: Pick<Log, 'epoch' | 'append' | 'hasMessages'>
  readonly applier: Pick<Applier<Result>, 'applied' | 'waiters' | 'writes'>
  readonly positions: Pick<Positions, 'assertAlive' | 'atEnd' | 'inTime'>
  readonly group: Pick<GroupState, 'format' | 'term'>
}

/** The commands that this replica appends, from the call to their result. */
export class Submissions<Result> {
  readonly #init: SubmissionsInit<Result>

  constructor(init: SubmissionsInit<Result>) {
    this.#init = init
  }

  /** See `Replica.submit`. */
  async submit(command: Uint8Array, options: SubmitOptions): Promise<Written<Result>> {
    const { positions, log, applier } = this.#init
    const { signal } = options
    positions.assertAlive()
    const conditions = conditionsOf(options, log.epoch)
    const message = messageOf(options)
    if (conditions !== undefined && (log.hasMessages || message !== undefined)) {
      throw new RangeError('key and expect are of no use to a message that others read too: give neither')
    }
    const entry: NewEntry =
      conditions === undefined
        ? { kind: 'command', payload: command, ...(message && { message }) }
        : { kind: 'control', payload: encodeControl({ type: 'guarded', command, ...conditions }) }
    return await positions.inTime('submit()', options, async () => {
      if (conditions !== undefined) await this.#assertHeeded(signal)
      const append = () => log.append([entry], { ...(signal && { signal }) })
      return await applier.writes.track(append, { signal, conditions })
    })
  }

  /** Resolves when the group heeds conditions of commands. A group without a first leader may yet do so. */
  async #assertHeeded(signal: AbortSignal | undefined): Promise<void> {
    const { group, positions, applier } = this.#init
    if (group.format > FIRST_FORMAT) return
    // What is in the log, and not applied here yet, may say so.
    await positions.atEnd(signal)
    while (group.format === FIRST_FORMAT && group.term === 0) {
      positions.assertAlive()
      await applier.waiters.wait(applier.applied + 1, signal)
    }
    if (group.format === FIRST_FORMAT) throw new GroupOutdated('commands with conditions', group.format)
  }
}

/** Undefined if there are none. Throws `RangeError`, and `EpochChanged` for a position of another log. */
function conditionsOf({ key, expect }: SubmitOptions, epoch: string): Conditions | undefined {
  if (key === undefined && expect === undefined) return undefined
  if (expect !== undefined) {
    if (expect.epoch !== epoch) throw new EpochChanged(expect.epoch, epoch)
    checkInteger('expect.index', expect.index, 0)
  }
  return {
    ...(key !== undefined && { key: keyBytes(key) }),
    ...(expect !== undefined && { expect: expect.index }),
  }
}

function messageOf({ subject, headers }: SubmitOptions): NewMessage | undefined {
  if (subject !== undefined) return { subject, ...(headers && { headers }) }
  if (headers === undefined) return undefined
  throw new RangeError('headers are given, and no subject: give both, or neither')
}

function keyBytes(key: string | Uint8Array): Uint8Array {
  const bytes = typeof key === 'string' ? Buffer.from(key) : key
  checkBytes('key', bytes)
  if (bytes.length >= 1 && bytes.length <= WRITE_KEY_BYTES_MAX) return bytes
  throw new RangeError(`key has ${bytes.length} bytes; give from 1 to ${WRITE_KEY_BYTES_MAX}`)
}
