import { randomUUID } from 'node:crypto'
import { checkMethods, checkMs } from '../bounds.ts'
import { systemClock } from '../time/clock.ts'
import { LogMissing, LogUnusable } from './errors.ts'
import { checkEntryBytes, checkInit, ENTRY_BYTES_DEFAULT } from './limits.ts'
import type { LogBackend, LogInit } from './log.ts'
import type { LogStorage, LogStore } from './stored/storage.ts'
import { StoredLog } from './stored/stored-log.ts'
import { bindingOf, headFor } from './stored/versions.ts'

/** How often a store is asked for news by default, in milliseconds. */
const POLL_MS = 250

/** Options of `storedLog`. */
export interface StoredLogOptions {
  /** How often a waiting reader looks for news, in milliseconds from 1. Default: 250. */
  readonly pollMs?: number
  /** The largest payload of an entry, and the largest presence, in bytes: 4 KiB to 31 MiB. Default: 16 MiB. */
  readonly maxEntryBytes?: number
}

/**
 * A backend over a storage of one's own. Throws `RangeError` for a storage or options that are none.
 *
 * @example
 * ```ts
 * export function filesLog(path: string): LogBackend {
 *   return storedLog(new Folder(path), { pollMs: 100 })
 * }
 * ```
 */
export function storedLog(storage: LogStorage, options: StoredLogOptions = {}): LogBackend {
  const { pollMs = POLL_MS, maxEntryBytes = ENTRY_BYTES_DEFAULT } = options
  checkMethods('storage', storage, ['find', 'make'])
  checkMs('pollMs', pollMs, 1)
  checkEntryBytes(maxEntryBytes)
  return {
    async open(init) {
      init.signal?.throwIfAborted()
      checkInit(init)
      const { place } = storage
      const store = await find(storage, init)
      try {
        const binding = await bindingOf(store)
        binding.check(init, { place })
        const { author } = init
        return new StoredLog({ store, binding, author, place, pollMs, maxEntryBytes, clock: systemClock })
      } catch (error) {
        await store.close?.()
        throw error
      }
    },
  }
}

async function find(storage: LogStorage, init: LogInit): Promise<LogStore> {
  const { signature } = init
  const { place } = storage
  const found = await storage.find()
  if (found !== undefined) return found
  if (init.create === false || signature === undefined) throw new LogMissing(place)
  await storage.make(randomUUID(), headFor(init, signature))
  const made = await storage.find()
  if (made === undefined) throw new LogUnusable('there is no log after one was made', { place })
  return made
}
