import { openCheckpoint, verifiedChunks } from '../../checkpoint/file.ts'
import { decodeControl } from '../../group/control.ts'
import { GroupState } from '../../group/group-state.ts'
import { EntryTooLarge } from '../../log/errors.ts'
import type { Json } from '../../machine/codec.ts'
import { type MapResult, ReplicatedMap } from '../../machine/replicated-map.ts'
import { createReplica, type Replica } from '../../replica/replica.ts'
import { itemsOf } from '../../snapshot/chunk.ts'
import { zstdCoder } from '../../snapshot/encoding.ts'
import { totalBytes, totalItems } from '../../snapshot/manifest.ts'
import { appendAll } from '../append-all.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'
import { placeName } from '../log-place.ts'
import { existingLog, logOf, withLog } from '../open-log.ts'
import { count, counted, shortId, size } from '../output.ts'
import { networkOf } from './network-key.ts'

/** Entries of one command, as they are imported. */
const IMPORT_BATCH = 100
/** How long the replicas have to say what their root is. */
const VERIFY_MS = 15_000

/** Write a snapshot that the group agreed on as one file. */
export async function exportTo(context: Context, file: string): Promise<number> {
  await using replica = await reader(context)
  const position = await replica.exportTo(file, { signal: context.signal })
  context.output.result({ file, position }, `wrote the state at entry ${count(position.index)} to ${file}`)
  return EXIT.ok
}

/** Start a group's log with the state that a file holds. Everything is checked before anything is written. */
export async function importFrom(context: Context, file: string): Promise<number> {
  const { output } = context
  await using checkpoint = await openCheckpoint(file)
  const map = new ReplicatedMap()
  if (checkpoint.signature !== map.signature) {
    throw new UsageError(`${file} is of ${checkpoint.signature}, and this command knows ${map.signature}`)
  }
  const installation = map.install()
  for await (const { bytes, items } of verifiedChunks(checkpoint, zstdCoder))
    installation.add(itemsOf(bytes, items))
  installation.commit()
  map.advance(Math.max(GroupState.decode(checkpoint.manifest.control).timeMs, Date.now()))
  return await withLog(context, logOf(context), async (log) => {
    const { newest } = await log.bounds()
    if (newest.index > 0) {
      throw new UsageError(
        `the log ${placeName(context.log)} has ${counted(newest.index, 'entry', 'entries')}: import into a new one`,
      )
    }
    for (const [command] of commandsFor(map, log.maxEntryBytes)) {
      if (command!.length > log.maxEntryBytes) throw new EntryTooLarge(command!.length, log.maxEntryBytes)
    }
    await appendAll(log, commandsFor(map, log.maxEntryBytes), () => {})
    output.result(
      { file, items: map.size, epoch: log.epoch },
      `imported ${counted(map.size, 'item')} from ${file}`,
    )
    return EXIT.ok
  })
}

type Item = readonly [key: string, value: Json]

/** What lives for ever in batches, what dies one by one. */
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

/** One command for all, or for halves of them, as a log takes it. Only one item alone may be beyond the limit. */
function* commandsOf(map: ReplicatedMap, batch: readonly Item[], bytesMax: number): Generator<Uint8Array[]> {
  const command = map.commands.setMany(batch)
  if (command.length <= bytesMax || batch.length === 1) return yield [command]
  const half = batch.length >> 1
  yield* commandsOf(map, batch.slice(0, half), bytesMax)
  yield* commandsOf(map, batch.slice(half), bytesMax)
}

/** Check files, or, without any, compare the roots of the replicas at one position. */
export async function verify(context: Context, files: readonly string[]): Promise<number> {
  return files.length > 0 ? await verifyFiles(context, files) : await verifyGroup(context)
}

async function verifyFiles({ output }: Context, files: readonly string[]): Promise<number> {
  let bad = 0
  for (const file of files) {
    try {
      await using checkpoint = await openCheckpoint(file)
      for await (const _ of verifiedChunks(checkpoint, zstdCoder));
      const { group, position, manifest, sealed } = checkpoint
      const root = Buffer.from(manifest.root).toString('hex')
      const items = totalItems(manifest)
      output.result(
        { file, intact: true, group, position, sealed, items, bytes: totalBytes(manifest), root },
        `${file}: intact; group ${group}, entry ${count(position.index)}, ${counted(items, 'item')}, ${size(totalBytes(manifest))}, root ${root.slice(0, 16)}…`,
      )
    } catch (error) {
      bad++
      output.error(error as Error)
    }
  }
  return bad > 0 ? EXIT.failed : EXIT.ok
}

async function verifyGroup(context: Context): Promise<number> {
  const { output } = context
  const signal = AbortSignal.any([context.signal, AbortSignal.timeout(VERIFY_MS)])
  await using replica = await reader(context)
  const anchor = await replica.mark({ signal })
  const roots = await withLog(context, existingLog(context), async (log) => {
    const found = new Map<string, string | undefined>()
    try {
      for await (const { entries } of log.follow({ index: anchor.index - 1 }, { signal })) {
        for (const { index, kind, payload, author } of entries) {
          const control = kind === 'control' ? decodeControl(payload) : undefined
          if (index === anchor.index && control?.type === 'marker') {
            for (const elector of control.electorate) found.set(elector, undefined)
          }
          if (control?.type === 'attestation' && control.anchor === anchor.index && found.has(author)) {
            found.set(author, Buffer.from(control.root).toString('hex'))
          }
        }
        if (found.size > 0 && ![...found.values()].includes(undefined)) break
      }
    } catch (error) {
      // Who has not said anything by now is shown so.
      if (!signal.aborted || context.signal.aborted) throw error
    }
    return found
  })
  const complete = ![...roots.values()].includes(undefined)
  const agree = complete && new Set(roots.values()).size === 1
  output.result(
    {
      anchor,
      agree,
      roots: Object.fromEntries([...roots].map(([id, root]) => [id, root ?? null])),
    },
    [
      `at entry ${count(anchor.index)} ${agree ? 'all agree' : complete ? 'the roots differ' : 'not all have answered'}:`,
      ...Array.from(roots, ([id, root]) => `  ${shortId(id)}  ${root ?? 'no answer'}`),
    ].join('\n'),
  )
  return agree ? EXIT.ok : EXIT.failed
}

/** Somebody who joins the group for a moment, and never leads it. */
async function reader(context: Context): Promise<Replica<MapResult>> {
  const { group, signal } = context
  const replica = await createReplica({
    group,
    machine: new ReplicatedMap(),
    log: existingLog(context),
    lead: false,
    ...(await networkOf(context)),
  })
  try {
    await replica.inSync({ signal })
    return replica
  } catch (error) {
    await replica.stop()
    throw error
  }
}
