import type { Log } from '../log/log.ts'
import type { ReplicaReport } from '../replica/snapshots/report.ts'
import { NobodyAnswers } from '../replica/visit/errors.ts'
import { Visitor } from '../replica/visit/visitor.ts'
import { HandshakeFailed } from '../sync/errors.ts'
import type { Answer } from '../sync/host.ts'
import { Busy, Failed } from '../sync/wire/errors.ts'
import type { Output } from './output.ts'

/** How long a replica has to tell of itself, in milliseconds: it is worth waiting for, and can be done without. */
const REPORT_MS = 1_000
/** How long replicas are asked again that are busy, in milliseconds. */
const BUSY_MS = 10_000

/** Whom to ask. This module is bundled with all that it needs, so it is given what others know too. */
export interface Asking {
  readonly group: string
  readonly signature: string
  readonly log: Log
  readonly networkKey?: Uint8Array
  readonly output: Pick<Output, 'waiting'>
  readonly signal: AbortSignal
}

/** Undefined: none runs, or none of those that run can answer. */
export async function askReplicas(
  { output, signal, ...visit }: Asking,
  question: Uint8Array,
): Promise<Answer | undefined> {
  const beganMs = performance.now()
  try {
    await using visitor = await Visitor.enter({ ...visit, signal })
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

/** Asks whichever replica answers what it knows of the group, now and again. */
export class Inquiry implements AsyncDisposable {
  readonly #asking: Asking
  #visitor: Visitor | undefined

  constructor(asking: Asking) {
    this.#asking = asking
  }

  /** Undefined: none answers, for whatever reason. */
  async report(): Promise<ReplicaReport | undefined> {
    const { output: _, signal, ...visit } = this.#asking
    try {
      const late = AbortSignal.any([signal, AbortSignal.timeout(REPORT_MS)])
      this.#visitor ??= await Visitor.enter({ ...visit, signal: late })
      this.#visitor.watch()
      const json = await this.#visitor.ask((channel) => channel.status(), { signal: late })
      return JSON.parse(Buffer.from(json).toString())
    } catch {
      signal.throwIfAborted()
      return undefined
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#visitor?.[Symbol.asyncDispose]()
  }
}
