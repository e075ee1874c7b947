import { join } from 'node:path'
import { sameBytes } from '../../bytes.ts'
import { checkpointsAmong, epochTag } from '../../checkpoint/belonging.ts'
import type { DataDirectory } from '../../checkpoint/data-directory.ts'
import { openCheckpoint } from '../../checkpoint/file.ts'
import { decodeGroupState } from '../../group/carried-state.ts'
import type { Log } from '../../log/log.ts'
import { ImportUnfinished } from './errors.ts'
import { readGenesis } from './genesis-reader.ts'

/**
 * Check that an import into this directory reached its last step. Throws `ImportUnfinished` where the
 * directory has a snapshot that was to be the log's first entry, and that entry is not there.
 */
export async function assertImported(
  { checkpoints, storage }: DataDirectory,
  log: Pick<Log, 'epoch' | 'bounds' | 'read'>,
  signal: AbortSignal,
): Promise<void> {
  const tag = epochTag(log.epoch)
  const [newest] = checkpointsAmong(await storage.list(checkpoints)).filter((one) => one.tag === tag)
  if (newest?.index !== 1) return
  const path = join(checkpoints, newest.name)
  // A damaged one is found out when it is loaded.
  await using reader = await openCheckpoint(path, storage).catch(() => undefined)
  // A state after an entry names that entry. An imported one follows none.
  if (reader === undefined || decodeGroupState(reader.manifest.control).entryId !== '') return
  const genesis = await readGenesis(log, signal)
  if (genesis !== undefined && sameBytes(genesis.root, reader.manifest.root)) return
  const bounds = await log.bounds({ signal })
  // Pruned: somebody had the state, or nothing could have been pruned.
  if (bounds.first > 1) return
  throw new ImportUnfinished(path, { isEmpty: bounds.newest.index === 0 })
}
