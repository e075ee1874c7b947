import { warn } from './thrown.ts'

/**
 * Call a user's listener. If it throws or its promise rejects, the error becomes a process warning: see
 * `warnOfListener`.
 */
export function tellListener<E>(listener: ((event: E) => unknown) | undefined, event: E): void {
  try {
    const outcome = listener?.(event)
    if (outcome instanceof Promise) outcome.catch(warnOfListener)
  } catch (error) {
    warnOfListener(error)
  }
}

/** Report a listener's error as a process warning (`ListenerFailed`). */
export function warnOfListener(error: unknown): void {
  warn('ListenerFailed', 'an event listener failed; the state is unharmed', error)
}
