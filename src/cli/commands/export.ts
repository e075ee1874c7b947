import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { writeCheckpoint } from '../../checkpoint/file.ts'
import { fileStorage } from '../../checkpoint/file-storage.ts'
import { decodeGroupState } from '../../group/carried-state.ts'
import type { Log } from '../../log/log.ts'
import { zstdCoder } from '../../snapshot/encoding.ts'
import { asError } from '../../thrown.ts'
import { ChunkSpool } from '../chunk-spool.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'
import { existingLog, withAnyLog } from '../log/open-log.ts'
import { count } from '../output.ts'
import { Visit } from '../visit.ts'

export interface ExportOptions {
  /** Write over a file that is there. */
  readonly force?: boolean
}

/** Write a snapshot that the group agreed on as one file, whatever its machine is. */
export async function exportTo(context: Context, file: string, { force }: ExportOptions): Promise<number> {
  await assertWritable(file, force ?? false)
  const position = await withAnyLog(context, existingLog(context), (log) => write(context, log, file))
  context.output.result({ file, position }, `wrote the state at entry ${count(position.index)} to ${file}`)
  return EXIT.ok
}

async function write(context: Context, log: Log, file: string) {
  const { group, signal } = context
  await using visit = await Visit.begin(context, log)
  await using spool = await ChunkSpool.at(`${file}.fetched`, zstdCoder)
  visit.visitor.host.installBy(() => spool.restart())
  const { epoch, index } = await visit.mark('for a snapshot that the group agrees on')
  await visit.fetch({ epoch, index: index - 1 })
  const { anchor, manifest } = spool.spooled!
  const signature = decodeGroupState(manifest.control).signature ?? log.signature
  const { chunk } = spool
  const source = { group, signature, position: anchor, sealed: true, manifest, chunk }
  await writeCheckpoint(file, fileStorage, source, signal)
  return anchor
}

/** Checked first: otherwise the user waits for a snapshot in vain. */
async function assertWritable(file: string, force: boolean): Promise<void> {
  const stats = await stat(file).catch(() => undefined)
  if (stats?.isDirectory()) throw new UsageError(`${file} is a directory: give the name of a file`)
  if (stats !== undefined && !force)
    throw new UsageError(`${file} is there already: give another name, or --force to write over it`)
  try {
    // With the slash, a file is no directory.
    await access(`${dirname(file)}/`, constants.W_OK)
  } catch (cause) {
    throw new UsageError(`${file} cannot be written: ${asError(cause).message}`)
  }
}
