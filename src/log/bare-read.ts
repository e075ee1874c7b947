/**
 * Reads a log without our own code, as the baseline of a replay. It also says when a prune no longer disturbs
 * a measurement.
 */

import { type LogPlace, resolvePlace } from './log-place.ts'

/** Called with the bytes that hold a command, and the offset at which it starts. */
export type OnCommand = (bytes: Uint8Array, start: number) => void

/** Reads each command of a log, from the first to the last. */
export type BareReader = (onCommand: OnCommand) => Promise<void>

/**
 * Resolves with the reader of a group's log when the backend's code is loaded, so that reading alone can be
 * timed.
 */
export async function bareReader(place: LogPlace, group: string): Promise<BareReader> {
  const resolved = resolvePlace(place)
  switch (resolved.backend) {
    case 'sqlite': {
      const { eachCommandOfFile } = await import('./sqlite/bare-read.ts')
      return async (onCommand) => eachCommandOfFile(resolved.path, onCommand)
    }
    case 'jetstream': {
      const { eachCommandOfStream } = await import('./jetstream/bare-read.ts')
      return (onCommand) => eachCommandOfStream(resolved.options, group, onCommand)
    }
    case 'postgres': {
      const { eachCommandOfTable } = await import('./postgres/bare-read.ts')
      return (onCommand) => eachCommandOfTable(resolved.options, group, onCommand)
    }
    default:
      return resolved satisfies never
  }
}

/** Resolves when no entry of a group's log before `first` is stored any more. */
export async function prunedAway(
  place: LogPlace,
  group: string,
  first: number,
  signal: AbortSignal,
): Promise<void> {
  const resolved = resolvePlace(place)
  switch (resolved.backend) {
    case 'sqlite': {
      const { rowsDeleted } = await import('./sqlite/bare-read.ts')
      return await rowsDeleted(resolved.path, first, signal)
    }
    case 'jetstream':
      // Servers purge immediately.
      return
    case 'postgres': {
      const { rowsSwept } = await import('./postgres/bare-read.ts')
      return await rowsSwept(resolved.options, group, first, signal)
    }
    default:
      return resolved satisfies never
  }
}
