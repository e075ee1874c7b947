import { setTimeout as delay } from 'node:timers/promises'
import { LogDamaged } from '../../log/errors.ts'
import type { Log } from '../../log/log.ts'
import type { Inquiry } from '../ask-replicas.ts'
import { type Context, EXIT } from '../context.ts'
import { existingLog, signatureOf, withAnyLog } from '../log/open-log.ts'
import type { Output } from '../output.ts'
import { GroupLook } from '../status/group-look.ts'
import { type Status, statusPage } from '../status/status-page.ts'
import { networkOf } from './network-key.ts'

export interface StatusOptions {
  /** Look again every second, until Ctrl-C. */
  readonly watch?: boolean
  /** Show addresses, checkpoints, processes and offers of each replica. */
  readonly wide?: boolean
  /** Only tell whether the group is well, by the exit code. */
  readonly check?: boolean
  /** With `check`: how many replicas are to be in sync at least. Default 1. */
  readonly expect?: number
  /** With `check`: how many entries a replica in sync may be behind. Default: any number. */
  readonly maxLag?: number
}

const WATCH_INTERVAL_MS = 1_000
/** The width of a line where there is no terminal. */
const COLUMNS_DEFAULT = 80
/**
 * How long a file is read for damage, in milliseconds: a user waits a second for a status, and not longer.
 */
const READ_THROUGH_MS = 1_000

/** Shows what the log and the replicas' announcements say, and which version the group speaks, if one answers. */
export async function status(context: Context, options: StatusOptions): Promise<number> {
  const { output, signal } = context
  return await withAnyLog(context, existingLog(context), async (log) => {
    const { watch } = options
    const group = new GroupLook(log, context)
    await using inquiry = await inquiryOf(context, log)
    for (let looks = 1; ; looks++) {
      const seen = await group.look()
      const report = seen.members.some(({ addresses }) => addresses.length > 0) && (await inquiry.report())
      const { signature = signatureOf(log), format = null } = report || {}
      const now = { ...seen, signature, format }
      if (watch) output.clear()
      if (output.json) output.object(now)
      else print(now, output, options)
      if (looks === 1 && context.log.isFile) await readThrough(log, now.first, signal)
      if (!watch) return EXIT.ok
      await delay(WATCH_INTERVAL_MS, undefined, { signal })
    }
  })
}

async function inquiryOf(context: Context, log: Log): Promise<Inquiry> {
  const { Inquiry } = await import('../ask-replicas.ts')
  const { group, output, signal } = context
  const network = await networkOf(context)
  return new Inquiry({ group, output, signal, log, signature: signatureOf(log), ...network })
}

/** Throws `LogDamaged` for damage that otherwise only the next joiner would find. */
export async function readThrough(log: Log, first: number, signal: AbortSignal): Promise<void> {
  const enough = AbortSignal.any([signal, AbortSignal.timeout(READ_THROUGH_MS)])
  try {
    for await (const _ of log.read({ index: first - 1 }, { signal: enough }));
  } catch (error) {
    // It may be pruned meanwhile.
    if (error instanceof LogDamaged) throw error
  }
}

/** On a terminal that is watched, the page has room on the screen: rows are cut, and lines that are too long. */
function print(status: Status, output: Output, { watch, wide = false }: StatusOptions): void {
  const { isTTY, columns = COLUMNS_DEFAULT, rows = Number.POSITIVE_INFINITY } = process.stdout
  const isScreen = watch === true && isTTY
  // The cursor stays on the last line.
  const page = statusPage(status, { wide, columns, rows: isScreen ? rows - 1 : Number.POSITIVE_INFINITY })
  for (const { text, style } of page) {
    const line = isScreen ? text.slice(0, columns) : text
    output.line(style === undefined ? line : output.style(style, line))
  }
}
