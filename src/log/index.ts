/**
 * For a log of one's own, `anchorage/log`: its interface and its errors. `storedLog` makes a backend of a small storage. The other parts are for a
 * backend that implements `Log` by itself, as the built-in ones do.
 *
 * @packageDocumentation
 */

export {
  AUTHOR_BYTES_MAX,
  EPOCH_BYTES_MAX,
  GROUP_BYTES_MAX,
  OLDER_MAX,
  SIGNATURE_BYTES_MAX,
} from '../bounds.ts'
export type { Message, NewMessage } from '../message.ts'
export { AppendQueue, type Committed } from './append-queue.ts'
export { Binding, keptSignature, type Upgrade } from './binding.ts'
export * from './errors.ts'
export type { LogBeginning } from './jetstream.ts'
export {
  BATCH_BYTES_MAX,
  BATCH_ENTRIES_MAX,
  checkAppend,
  checkCursor,
  checkEntryBytes,
  checkInit,
  checkPresence,
  checkPrune,
  checkUpgrade,
  ENTRY_BYTES_DEFAULT,
  ENTRY_BYTES_MAX,
  ENTRY_BYTES_MIN,
  PRESENCE_TTL_MS_MAX,
} from './limits.ts'
export * from './log.ts'
export type { LogPlace } from './log-place.ts'
export { Notifier } from './notifier.ts'
export { isFresh, type Presence, type PresenceStore, Sightings } from './presence.ts'
export { decodeEntry, encodeEntry } from './stored/entry-lines.ts'
export type { LogRecord, LogStorage, LogStore, UnplacedEntry } from './stored/storage.ts'
export { type StoredLogOptions, storedLog } from './stored.ts'
