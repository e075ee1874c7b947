import type { StateMachine } from '../machine/machine.ts'
import type { Replica } from '../replica/replica.ts'
import { createReplica } from '../replica/start.ts'
import { networkOf } from './commands/network-key.ts'
import type { Context } from './context.ts'
import { existingLog } from './log/open-log.ts'
import { count } from './output.ts'
import { Patience } from './patience.ts'

/**
 * A replica of the command's own, for what no running one can answer: it joins the group for a moment, never leads
 * it, and reads what is committed.
 */
export class Reader<Result> implements AsyncDisposable {
  readonly replica: Replica<Result>
  readonly #patience: Patience

  /** Resolves when the reader is in sync. Rejects with the reason if it cannot be. */
  static async join<Result>(context: Context, machine: StateMachine<Result>): Promise<Reader<Result>> {
    const { group } = context
    const replica = await createReplica({
      group,
      machine,
      log: existingLog(context),
      lead: false,
      // What the reader waits for is told each second, and what it ends with at the end.
      logger: false,
      ...(await networkOf(context)),
    })
    const reader = new Reader(context, replica)
    try {
      await reader.waiting(
        () => `to be in sync: ${replica.state}, at entry ${count(replica.position.index)}`,
        (signal) => replica.inSync({ signal }),
      )
      return reader
    } catch (error) {
      await replica.stop()
      throw error
    }
  }

  private constructor(context: Context, replica: Replica<Result>) {
    this.replica = replica
    this.#patience = new Patience(context, () => replica.members.filter(({ id }) => id !== replica.id))
    replica.addEventListener('problem', ({ detail }) => this.#patience.met(detail))
    replica.addEventListener('sync', ({ detail }) => this.#patience.heard(detail))
  }

  /** Await work of the replica. */
  async waiting<T>(what: () => string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await this.#patience.waiting(what, work)
  }

  /** Resolves when all that was committed before this call is in the state. */
  async barrier(): Promise<void> {
    await this.waiting(
      () => `for what was written before: at entry ${count(this.replica.position.index)}`,
      (signal) => this.replica.barrier({ signal }),
    )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.replica.stop()
  }
}
