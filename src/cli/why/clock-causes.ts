import { Clocks } from '../facts/clocks.ts'
import type { Heard } from '../facts/interviews.ts'
import type { Cause } from './case.ts'

/** What may be a cause of its own: a clock that is not as the others. */
export interface ClockCause extends Cause {
  /** The replica whose clock it is; null: this machine's. */
  readonly replica: string | null
}

/**
 * Clocks that are off, of those that answered. Nobody is kept from the group by that, but a server may refuse a
 * certificate then, and keys with a TTL die too early or too late.
 */
export function clockCauses(heard: ReadonlyMap<string, Heard>): ClockCause[] {
  return new Clocks(heard).off.map(({ replica, why, remedy }) => ({ replica, code: 'clock', why, remedy }))
}
