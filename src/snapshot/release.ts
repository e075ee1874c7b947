import type { Snapshot } from '../machine/machine.ts'
import { warn } from '../thrown.ts'

/** Release a captured snapshot. If the machine throws here, what was cut is unharmed. */
export function releaseSnapshot(source: Snapshot): void {
  try {
    source.release()
  } catch (error) {
    warn('ReleaseFailed', 'a state machine could not release its snapshot; what was cut is unharmed', error)
  }
}
