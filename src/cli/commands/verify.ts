import { verifiedChunks } from '../../checkpoint/file.ts'
import { decodeControl } from '../../group/control.ts'
import type { Position } from '../../position.ts'
import { zstdCoder } from '../../snapshot/encoding.ts'
import { totalBytes, totalItems } from '../../snapshot/manifest.ts'
import { asError } from '../../thrown.ts'
import { type Context, EXIT } from '../context.ts'
import { existingLog, withAnyLog } from '../log/open-log.ts'
import { checkpointAt } from '../open-checkpoint.ts'
import { count, counted, shortId, size } from '../output.ts'
import { Visit } from '../visit.ts'

/** How long the replicas have to tell their roots, in milliseconds: cutting a large state takes seconds. */
const VERIFY_MS = 15_000
/**
 * How often the command looks whether the replicas that have not answered are still there, in milliseconds.
 */
const POLL_INTERVAL_MS = 250

/** Check files, or, without any, compare the roots of the replicas at one position. */
export async function verify(context: Context, files: readonly string[]): Promise<number> {
  return files.length > 0 ? await verifyFiles(context, files) : await verifyGroup(context)
}

async function verifyFiles({ output }: Context, files: readonly string[]): Promise<number> {
  let bad = 0
  for (const file of files) {
    try {
      await using checkpoint = await checkpointAt(file)
      for await (const _ of verifiedChunks(checkpoint, zstdCoder));
      const { group, signature, position, manifest, sealed } = checkpoint
      const root = Buffer.from(manifest.root).toString('hex')
      const items = totalItems(manifest)
      output.result(
        { file, intact: true, group, signature, position, sealed, items, bytes: totalBytes(manifest), root },
        `${file}: intact; group ${group}, machine ${signature}, entry ${count(position.index)}, ${counted(items, 'item')}, ${size(totalBytes(manifest))}, root ${root.slice(0, 16)}…`,
      )
    } catch (error) {
      bad++
      output.error(asError(error))
    }
  }
  return bad > 0 ? EXIT.failed : EXIT.ok
}

async function verifyGroup(context: Context): Promise<number> {
  return await withAnyLog(context, existingLog(context), async (log) => {
    await using visit = await Visit.begin(context, log)
    const anchor = await visit.mark()
    const roots = await visit.waiting(
      () => `for the roots at entry ${count(anchor.index)}`,
      (signal) => attested(visit, anchor, signal),
    )
    return tell(context, anchor, roots)
  })
}

function tell({ output }: Context, anchor: Position, roots: ReadonlyMap<string, string | undefined>): number {
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

/** The root of each elector. Undefined for an elector that has left, or has not told its root in time. */
async function attested(
  { log, visitor }: Visit,
  anchor: Position,
  signal: AbortSignal,
): Promise<Map<string, string | undefined>> {
  const roots = new Map<string, string | undefined>()
  const done = new AbortController()
  const look = () => {
    const silent = [...roots].flatMap(([id, root]) => (root === undefined ? [id] : []))
    const present = new Set(visitor.replicas.map(({ id }) => id))
    if (roots.size > 0 && !silent.some((id) => present.has(id))) done.abort()
  }
  const timer = setInterval(look, POLL_INTERVAL_MS)
  const ends = AbortSignal.any([signal, done.signal, AbortSignal.timeout(VERIFY_MS)])
  try {
    for await (const { entries } of log.follow({ index: anchor.index - 1 }, { signal: ends })) {
      for (const { index, kind, payload, author } of entries) {
        const control = kind === 'control' ? decodeControl(payload) : undefined
        if (index === anchor.index && control?.type === 'marker') {
          for (const elector of control.electorate) roots.set(elector, undefined)
        }
        if (control?.type === 'attestation' && control.anchor === anchor.index && roots.has(author)) {
          roots.set(author, Buffer.from(control.root).toString('hex'))
        }
      }
      if (roots.size > 0 && ![...roots.values()].includes(undefined)) break
    }
  } finally {
    clearInterval(timer)
  }
  signal.throwIfAborted()
  return roots
}
