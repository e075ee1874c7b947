import { raceSignal } from 'race-signal'
import type { LogConnection } from './log.ts'

/** Resolves when there is a connection, immediately if there is one. Rejects when the signal aborts. */
export async function whenConnected(connection: LogConnection, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  if (connection.connected) return
  const { promise, resolve } = Promise.withResolvers<void>()
  const off = connection.onChange((connected) => connected && resolve())
  try {
    await raceSignal(promise, signal)
  } finally {
    off()
  }
}
