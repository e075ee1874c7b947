import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { asError } from '../../thrown.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'
import { count } from '../output.ts'
import { Reader } from '../reader.ts'

export interface ExportOptions {
  /** Write over a file that is there. */
  readonly force?: boolean
}

/** Write a snapshot that the group agreed on as one file. */
export async function exportTo(context: Context, file: string, { force }: ExportOptions): Promise<number> {
  await assertWritable(file, force ?? false)
  await using reader = await Reader.join(context)
  const position = await reader.withLeader('for a snapshot that the group agrees on', (signal) =>
    reader.replica.exportTo(file, { signal }),
  )
  context.output.result({ file, position }, `wrote the state at entry ${count(position.index)} to ${file}`)
  return EXIT.ok
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
