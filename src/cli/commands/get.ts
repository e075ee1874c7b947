import { isUtf8 } from 'node:buffer'
import type { Log } from '../../log/log.ts'
import type { StateMachine } from '../../machine/machine.ts'
import { NobodyAnswers } from '../../replica/visit/errors.ts'
import { Visitor } from '../../replica/visit/visitor.ts'
import { HandshakeFailed } from '../../sync/errors.ts'
import type { Answer } from '../../sync/host.ts'
import { Busy, Failed } from '../../sync/wire/errors.ts'
import { type Context, EXIT } from '../context.ts'
import { KeyMissing, WrongMachine } from '../errors.ts'
import { existingLog, nameOf, signatureOf, withAnyLog } from '../log/open-log.ts'
import { assertSpeaks, machineOf } from '../machine-module.ts'
import { networkOf } from './network-key.ts'

export interface GetOptions {
  /** A module with the machine, which answers where no replica runs. */
  readonly machine?: string
}

/** How long replicas are asked again that are busy, in milliseconds. Then this command reads the log itself. */
const BUSY_MS = 10_000

/** Ask a running replica, or read the log with a replica of the command's own where none answers. */
export async function get(context: Context, key: string, options: GetOptions): Promise<number> {
  const question = Buffer.from(key)
  return await withAnyLog(context, existingLog(context), async (log) => {
    const machine = options.machine === undefined ? undefined : await spoken(context, log, options.machine)
    const answer =
      (await askReplicas(context, log, question)) ??
      (await askOwn(context, machine ?? (await spoken(context, log, undefined)), question))
    const { bytes, index } = answer
    if (bytes === undefined) throw new KeyMissing(key)
    const position = { epoch: log.epoch, index }
    context.output.result({ key, ...shown(bytes), position }, isUtf8(bytes) ? textOf(bytes) : hexOf(bytes))
    return EXIT.ok
  })
}

/** The machine of a module, or the map. Throws `WrongMachine` where the log is of another. */
async function spoken(context: Context, log: Log, path: string | undefined): Promise<StateMachine> {
  const machine = await machineOf(path)
  assertSpeaks({ machine, path, log: nameOf(context) }, signatureOf(log))
  return machine
}

/** Undefined: none runs, or none of those that run can answer. */
async function askReplicas(context: Context, log: Log, question: Uint8Array): Promise<Answer | undefined> {
  const { group, signal, output } = context
  const { networkKey } = await networkOf(context)
  const beganMs = performance.now()
  try {
    await using visitor = await Visitor.enter({ group, signature: signatureOf(log), log, networkKey })
    for (;;) {
      try {
        const asked = visitor.ask((channel) => channel.query(question), { signal })
        return await output.waiting('waiting for an answer of a replica', asked)
      } catch (error) {
        const isBusy = error instanceof NobodyAnswers && [...error.faults.values()].some(isOf(Busy))
        if (!isBusy || performance.now() - beganMs > BUSY_MS) throw error
        await visitor.membership.refresh()
      }
    }
  } catch (error) {
    if (!(error instanceof NobodyAnswers)) throw error
    const faults = [...error.faults.values()]
    // What a replica says of the question is the answer.
    const told = faults.find(isOf(Failed))
    if (told !== undefined) throw told
    if (faults.length > 0 && faults.every(isOf(HandshakeFailed))) throw faults[0]
    return undefined
  }
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

function isOf(Kind: abstract new (...args: never[]) => Error): (error: Error) => boolean {
  return (error) => error instanceof Kind
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
