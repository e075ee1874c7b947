import { buffer } from 'node:stream/consumers'
import { Refusal } from '../../machine/errors.ts'
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
}

/** Append one command, whatever machine the log is of. With a machine, print what it did. */
export async function submit(context: Context, text: string, options: SubmitOptions): Promise<number> {
  const command = await commandOf(text, options)
  if (options.machine === undefined) return await append(context, command)
  return await apply(context, command, options.machine)
}

async function commandOf(text: string, { hex }: SubmitOptions): Promise<Uint8Array> {
  const bytes = text === '-' ? await buffer(process.stdin) : Buffer.from(text)
  if (!hex) return bytes
  const digits = bytes.toString().replaceAll(/\s/g, '')
  if (!/^([0-9a-f]{2})*$/i.test(digits))
    throw new UsageError('the command is not in hexadecimal: give two digits for each byte')
  return Buffer.from(digits, 'hex')
}

async function append(context: Context, payload: Uint8Array): Promise<number> {
  const { output, signal } = context
  return await withAnyLog(context, existingLog(context), async (log) => {
    const { first: index } = await log.append([{ kind: 'command', payload }], { signal })
    output.result({ position: { epoch: log.epoch, index } }, `submitted (entry ${count(index)})`)
    return EXIT.ok
  })
}

async function apply(context: Context, command: Uint8Array, path: string): Promise<number> {
  const { output, signal } = context
  const machine = await machineOf(path)
  await withAnyLog(context, existingLog(context), async (log) =>
    assertSpeaks({ machine, path, log: nameOf(context) }, signatureOf(log)),
  )
  const { Reader } = await import('../reader.ts')
  await using reader = await Reader.join(context, machine)
  const skipped = new Map<number, string>()
  reader.replica.addEventListener('skipped', ({ detail }) => skipped.set(detail.entry.index, detail.why))
  const { position, result } = await reader.waiting(
    () => 'for the command to be applied',
    (waited) => reader.replica.submit(command, { signal: AbortSignal.any([signal, waited]) }),
  )
  const why = skipped.get(position.index)
  if (why !== undefined) throw new CommandSkipped(position.index, why)
  if (result instanceof Refusal) throw result
  const shown = result === undefined ? `submitted (entry ${count(position.index)})` : JSON.stringify(result)
  output.result({ position, result: result ?? null }, shown)
  return EXIT.ok
}
