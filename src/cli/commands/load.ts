import { isUtf8 } from 'node:buffer'
import { EntryTooLarge } from '../../log/errors.ts'
import type { Json } from '../../machine/codec.ts'
import { ReplicatedMap } from '../../machines/map/replicated-map.ts'
import { asError } from '../../thrown.ts'
import { type Context, EXIT } from '../context.ts'
import { MalformedLine } from '../errors.ts'
import { Input } from '../input.ts'
import { parseJson } from '../json.ts'
import { appendAll } from '../log/append-all.ts'
import { existingLog, logOf, ofMap, withLog } from '../log/open-log.ts'
import { count, counted, duration, size } from '../output.ts'

export interface LoadOptions {
  /** Make the log if there is none. */
  readonly create?: boolean
}

/** Appends the entries of a JSON Lines file. What is malformed is reported and left out. */
export async function load(context: Context, file: string, options: LoadOptions): Promise<number> {
  const { output, signal } = context
  await using input = await Input.open(file)
  const backend = options.create ? logOf(context) : existingLog(context)
  return await withLog(context, ofMap(context, backend), async (log) => {
    const beganMs = performance.now()
    let loaded = 0
    let lineNumber = 0
    let malformed = 0

    async function* batches() {
      for await (const lines of input.lines(signal)) {
        const commands: Uint8Array[] = []
        for (const line of lines) {
          lineNumber++
          try {
            const command = commandOf(line, log.maxEntryBytes)
            if (command !== undefined) commands.push(command)
          } catch (error) {
            malformed++
            output.error(new MalformedLine(lineNumber, asError(error).message))
          }
        }
        yield commands
      }
    }

    try {
      await appendAll(log, batches(), (entries) => {
        loaded += entries
        output.progress(progress(loaded, input))
      })
    } catch (error) {
      if (loaded > 0) output.note(`${counted(loaded, 'entry', 'entries')} loaded, then:`)
      throw error
    }
    const tookMs = performance.now() - beganMs
    const text = [
      `loaded ${counted(loaded, 'entry', 'entries')} in ${duration(tookMs)} (${count((loaded / tookMs) * 1_000)}/s)`,
      malformed > 0 && `${counted(malformed, 'malformed line')} left out`,
      signal.aborted && 'stopped before the end of the input',
    ]
    output.result(
      { loaded, malformed, complete: !signal.aborted, tookMs: Math.round(tookMs) },
      text.filter(Boolean).join('; '),
    )
    signal.throwIfAborted()
    return malformed > 0 ? EXIT.failed : EXIT.ok
  })
}

const { commands } = new ReplicatedMap()

/**
 * The command for one line, or undefined for an empty line. The message of what it throws says why the line
 * is no entry.
 */
function commandOf(line: Buffer, maxEntryBytes: number): Uint8Array | undefined {
  if (!isUtf8(line)) throw new TypeError('it is not UTF-8')
  const text = line.toString().trim()
  if (text === '') return undefined
  const { key, value, ttlMs } = entryOf(parseJson(text))
  const command = commands.set(key, value, { ttlMs })
  if (command.length > maxEntryBytes) throw new EntryTooLarge(command.length, maxEntryBytes)
  return command
}

function entryOf(entry: Json) {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    throw new TypeError('an entry is {"key": …, "value": …}')
  const { key, value, ttlMs, ...rest } = entry as { readonly [field: string]: Json }
  if (typeof key !== 'string' || value === undefined)
    throw new TypeError('an entry is {"key": …, "value": …}, its key a string')
  const unknown = Object.keys(rest)
  if (unknown.length > 0)
    throw new TypeError(`an entry has a key, a value and perhaps ttlMs, not ${unknown.join(', ')}`)
  if (ttlMs !== undefined && typeof ttlMs !== 'number')
    throw new TypeError(`ttlMs is ${JSON.stringify(ttlMs)}; give a number of milliseconds`)
  return { key, value, ttlMs }
}

function progress(loaded: number, { bytes, bytesRead }: Input): string {
  const share = bytes ? ` (${Math.floor((bytesRead / bytes) * 100)} %)` : ''
  return `${count(loaded)} entries, ${size(bytesRead)}${share}`
}
