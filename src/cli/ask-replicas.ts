import type { Log } from '../log/log.ts'
import { NobodyAnswers } from '../replica/visit/errors.ts'
import { Visitor } from '../replica/visit/visitor.ts'
import { HandshakeFailed } from '../sync/errors.ts'
import type { Answer } from '../sync/host.ts'
import { Busy, Failed } from '../sync/wire/errors.ts'
import { networkOf } from './commands/network-key.ts'
import type { Context } from './context.ts'
import { signatureOf } from './log/open-log.ts'

/** How long replicas are asked again that are busy, in milliseconds. */
const BUSY_MS = 10_000

/** Undefined: none runs, or none of those that run can answer. */
export async function askReplicas(
  context: Context,
  log: Log,
  question: Uint8Array,
): Promise<Answer | undefined> {
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

function isOf(Kind: abstract new (...args: never[]) => Error): (error: Error) => boolean {
  return (error) => error instanceof Kind
}
