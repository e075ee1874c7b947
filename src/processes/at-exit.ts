const pending = new Set<() => void>()

/**
 * Have `cleanUp` called, synchronously, when this process exits, also by an exception. The newest is called
 * first. Returns a function that calls it off.
 */
export function atExit(cleanUp: () => void): () => void {
  if (pending.size === 0) process.once('exit', cleanUpAll)
  pending.add(cleanUp)
  return () => {
    pending.delete(cleanUp)
    if (pending.size === 0) process.removeListener('exit', cleanUpAll)
  }
}

function cleanUpAll(): void {
  for (const cleanUp of [...pending].reverse()) {
    try {
      cleanUp()
    } catch {
      // The rest must be cleaned up all the same.
    }
  }
}
