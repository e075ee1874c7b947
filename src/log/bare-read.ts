/**
 * Reads a log past our own code: a replay is measured against that. Tells when a prune no longer disturbs a
 * measurement.
 */

import { type LogPlace, resolvePlace } from './log-place.ts'

/** Called with the bytes that hold a command, and where it starts in them. */
export type OnCommand = (bytes: Uint8Array, start: number) => void

/** Reads each command of a log, from the first to the last. */
export type BareReader = (onCommand: OnCommand) => Promise<void>

/**
 * Resolves with the reader of a group's log when the code of its backend is loaded: reading can be timed
 * alone.
 */
export async function bareReader(place: LogPlace, group: string): Promise<BareReader> {
  const resolved = resolvePlace(place)
  if (resolved.backend === 'sqlite') {
    const { eachCommandOfFile } = await import('./sqlite/bare-read.ts')
    return async (onCommand) => eachCommandOfFile(resolved.path, onCommand)
  }
  const { eachCommandOfStream } = await import('./jetstream/bare-read.ts')
  return (onCommand) => eachCommandOfStream(resolved.options, group, onCommand)
}

/** Resolves when no entry before the one at `first` is stored any more. */
export async function prunedAway(place: LogPlace, first: number, signal: AbortSignal): Promise<void> {
  const resolved = resolvePlace(place)
  // Servers purge at once.
  if (resolved.backend === 'jetstream') return
  const { rowsDeleted } = await import('./sqlite/bare-read.ts')
  await rowsDeleted(resolved.path, first, signal)
}
