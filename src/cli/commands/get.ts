import { isUtf8 } from 'node:buffer'
import type { Log } from '../../log/log.ts'
import type { StateMachine } from '../../machine/machine.ts'
import type { Answer } from '../../sync/host.ts'
import { type Context, EXIT } from '../context.ts'
import { KeyMissing, WrongMachine } from '../errors.ts'
import { nameOf, openAnyLog, signatureOf } from '../log/open-log.ts'
import { assertSpeaks, machineOf } from '../machine-module.ts'
import { networkOf } from './network-key.ts'

export interface GetOptions {
  /** A module with the machine, which answers where no replica runs. */
  readonly machine?: string
}

/** Ask a running replica, or read the log with a replica of the command's own where none answers. */
export async function get(context: Context, key: string, options: GetOptions): Promise<number> {
  const question = Buffer.from(key)
  // The log's thread begins while this one loads libp2p, which takes longest by far.
  const { group, output, signal } = context
  const asking = { group, output, signal, ...(await networkOf(context)) }
  const opening = openAnyLog(context)
  opening.catch(() => {})
  const { askReplicas } = await import('../ask-replicas.ts')
  const log = await opening
  try {
    const machine = options.machine === undefined ? undefined : await spoken(context, log, options.machine)
    const answer =
      (await askReplicas({ ...asking, signature: signatureOf(log), log }, question)) ??
      (await askOwn(context, machine ?? (await spoken(context, log, undefined)), question))
    const { bytes, index } = answer
    if (bytes === undefined) throw new KeyMissing(key)
    const position = { epoch: log.epoch, index }
    output.result({ key, ...shown(bytes), position }, isUtf8(bytes) ? textOf(bytes) : hexOf(bytes))
    return EXIT.ok
  } finally {
    await log.close()
  }
}

/** The machine of a module, or the map. Throws `WrongMachine` where the log is of another. */
async function spoken(context: Context, log: Log, path: string | undefined): Promise<StateMachine> {
  const machine = await machineOf(path)
  assertSpeaks({ machine, path, log: nameOf(context) }, signatureOf(log))
  return machine
}

async function askOwn(context: Context, machine: StateMachine, question: Uint8Array): Promise<Answer> {
  if (machine.query === undefined)
    throw new WrongMachine(`a machine of ${machine.signature} answers no questions: it has no query()`)
  const { Reader } = await import('../reader.ts')
  await using reader = await Reader.join(context, machine)
  await reader.barrier()
  reader.replica.assertReadable()
  return { bytes: machine.query(question), index: reader.replica.position.index }
}

/** For programs: what JSON says, or the text, or hexadecimal. */
function shown(bytes: Uint8Array): { readonly value: unknown } | { readonly hex: string } {
  if (!isUtf8(bytes)) return { hex: hexOf(bytes) }
  const text = textOf(bytes)
  try {
    return { value: JSON.parse(text) }
  } catch {
    return { value: text }
  }
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
