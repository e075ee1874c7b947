/**
 * Begin a new group with the state of another one, `anchorage/import`: from a file that `Replica.exportTo` wrote, or
 * from a checkpoint.
 *
 * @example
 * ```ts
 * import { sqliteLog } from 'anchorage'
 * import { importInto } from 'anchorage/import'
 *
 * await importInto({
 *   log: sqliteLog({ path: 'new.db' }),
 *   group: 'cities',
 *   file: 'cities.snapshot',
 *   dataDir: 'data-a',
 * })
 * ```
 *
 * @packageDocumentation
 */

export {
  type Imported,
  type ImportInit,
  type ImportProgress,
  importInto,
  type Transform,
} from './import-into.ts'
export { type ImportSource, itemsInFile } from './source.ts'
