/** A listener that threw, or whose promise rejected, harms nobody: it becomes a process warning (`ListenerFailed`). */
export function warnOfListener(error: unknown): void {
  const detail = error instanceof Error ? error.stack : String(error)
  process.emitWarning('an event listener failed; the state is unharmed', { type: 'ListenerFailed', detail })
}
