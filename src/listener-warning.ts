/** Call a listener of somebody else's. One that throws, or whose promise rejects, harms nobody: see `warnOfListener`. */
export function tellListener<E>(listener: ((event: E) => unknown) | undefined, event: E): void {
  try {
    const outcome = listener?.(event)
    if (outcome instanceof Promise) outcome.catch(warnOfListener)
  } catch (error) {
    warnOfListener(error)
  }
}

/** A listener's mistake becomes a process warning (`ListenerFailed`). */
export function warnOfListener(error: unknown): void {
  const detail = error instanceof Error ? error.stack : String(error)
  process.emitWarning('an event listener failed; the state is unharmed', { type: 'ListenerFailed', detail })
}
