import { AppendUncertain } from '../../log/errors.ts'
import { LogNotEmpty } from '../../replica/import/errors.ts'
import { type Imported, importInto } from '../../replica/import/import-into.ts'
import { asError } from '../../thrown.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'
import { nameOf, newLog } from '../log/open-log.ts'
import { checkpointAt } from '../open-checkpoint.ts'
import { counted } from '../output.ts'
import { transformIn } from '../transform-module.ts'

export interface ImportOptions {
  /** The data directory of the replica that is to have the state first. */
  readonly data?: string
  /** The module that makes the new items. */
  readonly transform?: string
}

/** Begin a group's log with the snapshot that a file holds. */
export async function importFrom(
  context: Context,
  file: string,
  { data, transform }: ImportOptions,
): Promise<number> {
  if (data === undefined) {
    throw new UsageError(
      'give --data: the state goes into the data directory of the replica that is to have it first, and the log only names it; start "anchorage node" on that directory next',
    )
  }
  // One that cannot be read must not leave a directory behind.
  await using checked = await checkpointAt(file)
  await checked[Symbol.asyncDispose]()
  const { output } = context
  const imported = await begin(context, file, data, transform)
  const { items, position, signature } = imported
  output.result(
    { file, data, items, epoch: position.epoch, position, signature },
    `imported ${counted(items, 'item')} of ${signature} from ${file}; start a replica that has them next: ${nextCommand(context, data)}`,
  )
  return EXIT.ok
}

async function begin(
  context: Context,
  file: string,
  dataDir: string,
  transform: string | undefined,
): Promise<Imported> {
  const { group, output, signal } = context
  let isNew = false
  const log = newLog(context, () => {
    isNew = true
  })
  try {
    return await importInto({
      ...{ log, group, file, dataDir, signal },
      ...(transform !== undefined && { transform: await transformIn(transform) }),
      onProgress: ({ items }) => output.progress(`wrote ${counted(items, 'item')}`),
    })
  } catch (error) {
    if (error instanceof LogNotEmpty) throw new UsageError(`${nameOf(context)}: ${error.message}`)
    // An empty log would be taken for an empty state. One that may have the snapshot is left.
    if (isNew && !(error instanceof AppendUncertain)) await discard(context)
    throw error
  }
}

async function discard(context: Context): Promise<void> {
  const { log, group, output } = context
  try {
    await log.remove(group)
  } catch (error) {
    output.note(`the log ${nameOf(context)} is empty: remove it (${asError(error).message})`)
  }
}

/** What to start next. What is secret is not repeated. */
function nextCommand({ log, group }: Context, data: string): string {
  const where = log.flags === undefined ? ' with the same --log' : ` ${log.flags}`
  const flags = group === 'default' ? '' : ` --group ${group}`
  return `anchorage node --data ${data}${flags}${where}`
}
