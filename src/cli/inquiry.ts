import type { Log } from '../log/log.ts'
import type { ReplicaReport } from '../replica/snapshots/report.ts'
import type { Visitor } from '../replica/visit/visitor.ts'
import { networkOf } from './commands/network-key.ts'
import type { Context } from './context.ts'
import { signatureOf } from './log/open-log.ts'

/** How long a replica has to answer, in milliseconds: what it says is worth waiting for, and can be done without. */
const ANSWER_MS = 1_000

/** Asks whichever replica answers what it knows of the group. */
export class Inquiry implements AsyncDisposable {
  readonly #context: Context
  readonly #log: Log
  #visitor: Visitor | undefined

  constructor(context: Context, log: Log) {
    this.#context = context
    this.#log = log
  }

  /** Undefined: none answers, for whatever reason. */
  async report(): Promise<ReplicaReport | undefined> {
    const { signal } = this.#context
    try {
      this.#visitor ??= await this.#enter()
      const late = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
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

  async #enter(): Promise<Visitor> {
    const { Visitor } = await import('../replica/visit/visitor.ts')
    const { networkKey } = await networkOf(this.#context)
    const log = this.#log
    const init = { group: this.#context.group, signature: signatureOf(log), log, networkKey }
    const visitor = await Visitor.enter(init)
    visitor.watch()
    return visitor
  }
}
