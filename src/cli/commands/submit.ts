import { buffer } from 'node:stream/consumers'
import type { Log, NewEntry } from '../../log/log.ts'
import { Refusal } from '../../machine/errors.ts'
import type { SubmitOptions as WriteOptions } from '../../machine/machine.ts'
import type { NewMessage } from '../../message.ts'
import { type Context, EXIT } from '../context.ts'
import { CommandSkipped, UsageError } from '../errors.ts'
import { existingLog, nameOf, signatureOf, withAnyLog } from '../log/open-log.ts'
import { assertSpeaks, machineOf } from '../machine-module.ts'
import { count } from '../output.ts'

export interface SubmitOptions {
  /** True: the command is in hexadecimal. */
  readonly hex?: boolean
  /** A module with the machine, which tells what the command did. */
  readonly machine?: string
  /** Where to publish it, if the log is a stream that others write too. */
  readonly subject?: string
  /** Each a name, `=` and a value. */
  readonly header?: readonly string[]
  readonly key?: string
}

/** Append one command, whatever machine the log is of. With a machine, print what it did. */
export async function submit(context: Context, text: string, options: SubmitOptions): Promise<number> {
  const command = await commandOf(text, options)
  const message = messageOf(options)
  const { machine: path, key } = options
  if (path !== undefined)
    return await apply(context, command, path, { ...message, ...(key !== undefined && { key }) })
  if (key !== undefined)
    throw new UsageError('only a replica can tell whether a write with this key was applied: add --machine')
  return await append(context, { kind: 'command', payload: command, ...(message && { message }) })
}

function messageOf({ subject, header = [] }: SubmitOptions): NewMessage | undefined {
  const headers: Record<string, string[]> = {}
  for (const each of header) {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(each) ?? []
    if (name === undefined) throw new UsageError(`--header ${each}: give a name, = and a value`)
    headers[name] = [...(headers[name] ?? []), value!]
  }
  if (subject !== undefined) return header.length === 0 ? { subject } : { subject, headers }
  if (header.length > 0) throw new UsageError('--header is of a message: give --subject, too')
  return undefined
}

/** The log itself would say the same, in the words of a program that calls it. */
function assertAddressed(
  { hasMessages = false }: Log,
  { subject }: { readonly subject?: string } = {},
): void {
  if (hasMessages && subject === undefined)
    throw new UsageError(
      'this log is a stream that others write too: say with --subject where to publish the command',
    )
  if (!hasMessages && subject !== undefined)
    throw new UsageError('this log is no stream of messages: give no subject')
}

async function commandOf(text: string, { hex }: SubmitOptions): Promise<Uint8Array> {
  const bytes = text === '-' ? await buffer(process.stdin) : Buffer.from(text)
  if (!hex) return bytes
  const digits = bytes.toString().replaceAll(/\s/g, '')
  if (!/^([0-9a-f]{2})*$/i.test(digits))
    throw new UsageError('the command is not in hexadecimal: give two digits for each byte')
  return Buffer.from(digits, 'hex')
}

async function append(context: Context, entry: NewEntry): Promise<number> {
  const { output, signal } = context
  return await withAnyLog(context, existingLog(context), async (log) => {
    assertAddressed(log, entry.message)
    const { first: index } = await log.append([entry], { signal })
    output.result({ position: { epoch: log.epoch, index } }, `submitted (entry ${count(index)})`)
    return EXIT.ok
  })
}

async function apply(
  context: Context,
  command: Uint8Array,
  path: string,
  how: Pick<WriteOptions, 'subject' | 'headers' | 'key'>,
): Promise<number> {
  const { output, signal } = context
  const machine = await machineOf(path)
  await withAnyLog(context, existingLog(context), async (log) => {
    assertSpeaks({ machine, path, log: nameOf(context) }, signatureOf(log))
    assertAddressed(log, how)
  })
  const { Reader } = await import('../reader.ts')
  await using reader = await Reader.join(context, machine)
  const skipped = new Map<number, string>()
  reader.replica.addEventListener('skipped', ({ detail }) => skipped.set(detail.entry.index, detail.why))
  const { position, result, repeated } = await reader.waiting(
    () => 'for the command to be applied',
    (waited) => reader.replica.submit(command, { ...how, signal: AbortSignal.any([signal, waited]) }),
  )
  if (repeated) {
    const before = `a command with this key was applied before (entry ${count(position.index)})`
    output.result({ position, result: null, repeated }, before)
    return EXIT.ok
  }
  const why = skipped.get(position.index)
  if (why !== undefined) throw new CommandSkipped(position.index, why)
  if (result instanceof Refusal) throw result
  const shown = result === undefined ? `submitted (entry ${count(position.index)})` : JSON.stringify(result)
  output.result({ position, result: result ?? null }, shown)
  return EXIT.ok
}
