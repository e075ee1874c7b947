import { verifiedChunks } from '../../checkpoint/file.ts'
import { decodeGroupState } from '../../group/group-state.ts'
import { EntryTooLarge } from '../../log/errors.ts'
import type { Log } from '../../log/log.ts'
import { removeLog } from '../../log/remove-log.ts'
import type { Json } from '../../machine/codec.ts'
import { ReplicatedMap } from '../../machines/map/replicated-map.ts'
import { itemsOf } from '../../snapshot/chunk.ts'
import { zstdCoder } from '../../snapshot/encoding.ts'
import { asError } from '../../thrown.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'
import { appendAll } from '../log/append-all.ts'
import { nameOf, newLog, withLog } from '../log/open-log.ts'
import { checkpointAt } from '../open-checkpoint.ts'
import { counted } from '../output.ts'

/** Keys that one imported command sets. */
const IMPORT_BATCH = 100

/** Start a group's log with the state that a file holds. Everything is checked before anything is written. */
export async function importFrom(context: Context, file: string): Promise<number> {
  const { output } = context
  const map = await stateOf(file)
  let isNew = false
  const log = newLog(context, () => {
    isNew = true
  })
  try {
    return await withLog(context, log, async (log) => {
      const { newest } = await log.bounds()
      if (newest.index > 0) {
        throw new UsageError(
          `the log ${nameOf(context)} has ${counted(newest.index, 'entry', 'entries')}: import into a new one`,
        )
      }
      await appendState(context, map, log)
      output.result(
        { file, items: map.size, epoch: log.epoch },
        `imported ${counted(map.size, 'item')} from ${file}`,
      )
      return EXIT.ok
    })
  } catch (error) {
    // A part of a state would be taken for all of it.
    if (isNew) await discard(context)
    throw error
  }
}

async function stateOf(file: string): Promise<ReplicatedMap> {
  await using checkpoint = await checkpointAt(file)
  const map = new ReplicatedMap()
  if (checkpoint.signature !== map.signature) {
    throw new UsageError(`${file} is of ${checkpoint.signature}, and this command knows ${map.signature}`)
  }
  const installation = map.install()
  for await (const { bytes, info } of verifiedChunks(checkpoint, zstdCoder))
    installation.add(itemsOf(bytes, info.items))
  installation.commit()
  map.advance(Math.max(decodeGroupState(checkpoint.manifest.control).timeMs, Date.now()))
  return map
}

async function appendState({ output, signal }: Context, map: ReplicatedMap, log: Log): Promise<void> {
  for (const [command] of commandsFor(map, log.maxEntryBytes)) {
    if (command!.length > log.maxEntryBytes) throw new EntryTooLarge(command!.length, log.maxEntryBytes)
  }
  function* batches() {
    for (const batch of commandsFor(map, log.maxEntryBytes)) {
      signal.throwIfAborted()
      yield batch
    }
  }
  let entries = 0
  await appendAll(log, batches(), (more) => {
    entries += more
    output.progress(`wrote ${counted(entries, 'entry', 'entries')} with ${counted(map.size, 'item')} in all`)
  })
}

async function discard(context: Context): Promise<void> {
  const { log, group, output } = context
  try {
    await removeLog(log, group)
  } catch (error) {
    const why = asError(error).message
    output.note(`the log ${nameOf(context)} holds a part of the state: remove it (${why})`)
  }
}

type Item = readonly [key: string, value: Json]

/** Keys without a TTL in batches, keys with one each in a command of its own. */
function* commandsFor(map: ReplicatedMap, bytesMax: number): Generator<Uint8Array[]> {
  let batch: Item[] = []
  for (const [key, value] of map) {
    const ttlMs = map.ttl(key)
    if (ttlMs !== undefined && ttlMs !== Number.POSITIVE_INFINITY) {
      yield [map.commands.set(key, value, { ttlMs })]
    } else if (batch.push([key, value]) === IMPORT_BATCH) {
      yield* commandsOf(map, batch, bytesMax)
      batch = []
    }
  }
  if (batch.length > 0) yield* commandsOf(map, batch, bytesMax)
}

/**
 * One command for the batch, or several for its halves, each as small as the log takes. Only a single item
 * may exceed the limit.
 */
function* commandsOf(map: ReplicatedMap, batch: readonly Item[], bytesMax: number): Generator<Uint8Array[]> {
  const command = map.commands.setMany(batch)
  if (command.length <= bytesMax || batch.length === 1) return yield [command]
  const half = batch.length >> 1
  yield* commandsOf(map, batch.slice(0, half), bytesMax)
  yield* commandsOf(map, batch.slice(half), bytesMax)
}
