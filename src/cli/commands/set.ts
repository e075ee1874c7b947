import type { LogBackend } from '../../log/log.ts'
import type { Json } from '../../machine/codec.ts'
import { ReplicatedMap } from '../../machines/map/replicated-map.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'
import { parseJson } from '../json.ts'
import { existingLog, logOf, ofMap, withLog } from '../log/open-log.ts'
import { count } from '../output.ts'

export interface SetOptions {
  /** True: the value is text, not JSON. */
  readonly string?: boolean
  /** How long the key lives, in milliseconds. */
  readonly ttlMs?: number
  /** Make the log if there is none. */
  readonly create?: boolean
}

export async function set(context: Context, key: string, text: string, options: SetOptions): Promise<number> {
  const value = options.string ? text : parseValue(text)
  const command = new ReplicatedMap().commands.set(key, value, { ttlMs: options.ttlMs })
  const backend = options.create ? logOf(context) : existingLog(context)
  return await write(context, backend, `set ${key}`, command)
}

/** `delete` is a reserved word. */
export async function deleteKey(context: Context, key: string): Promise<number> {
  const command = new ReplicatedMap().commands.delete(key)
  return await write(context, existingLog(context), `deleted ${key}`, command)
}

async function write(
  context: Context,
  backend: LogBackend,
  what: string,
  payload: Uint8Array,
): Promise<number> {
  const { output, signal } = context
  return await withLog(context, ofMap(context, backend), async (log) => {
    const { first: index } = await log.append([{ kind: 'command', payload }], { signal })
    output.result({ position: { epoch: log.epoch, index } }, `${what} (entry ${count(index)})`)
    return EXIT.ok
  })
}

function parseValue(text: string): Json {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message)
    throw new UsageError(
      `the value ${text} is not JSON: write a string as '"${text}"', in both kinds of quotes, or add --string`,
    )
  }
}
