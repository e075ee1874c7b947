import { setTimeout as delay } from 'node:timers/promises'
import type { Member } from '../../group/membership.ts'
import type { Log } from '../../log/log.ts'
import { NobodyAnswers } from '../../replica/visit/errors.ts'
import { Visitor } from '../../replica/visit/visitor.ts'
import { HandshakeFailed } from '../../sync/errors.ts'
import { WireError } from '../../sync/wire/errors.ts'
import { asError } from '../../thrown.ts'
import { type Account, accountIn } from './account.ts'
import type { Announced } from './announced.ts'
import { type AddressTry, tryAddresses } from './reach.ts'

/** What became of asking a replica for its own account. */
export type Heard =
  | {
      readonly how: 'told'
      readonly account: Account
      /** From the question to the answer. */
      readonly tookMs: number
      /** When the answer came, by the wall clock of this machine. */
      readonly atMs: number
      readonly tries: readonly AddressTry[]
    }
  /** It answers, and not that: it is busy, takes nobody in, or is of another group or version. */
  | { readonly how: 'refused'; readonly error: Error; readonly tries: readonly AddressTry[] }
  /** Something listens there, and no connection comes about: another network key, or another program. */
  | { readonly how: 'shut'; readonly error: Error; readonly tries: readonly AddressTry[] }
  /** Nobody listens there, or nothing comes back. */
  | { readonly how: 'unreachable'; readonly error: Error; readonly tries: readonly AddressTry[] }

/** How long a connection may take, and then an answer, in milliseconds. */
const CONNECT_MS = 1_000
/** How long a replica is asked, again and again, in milliseconds: half of the handshakes with a wrong key are silent. */
const ASK_MS = 4_000
/** Pause before it is asked again, in milliseconds: what listens there may end a connection at once. */
const RETRY_MS = 100
/** Replicas that are asked at the same time. */
const AT_ONCE = 16

export interface InterviewsInit {
  readonly group: string
  readonly signature: string
  /** Opened by the caller, who closes it afterwards. */
  readonly log: Log
  readonly networkKey?: Uint8Array
  readonly signal: AbortSignal
}

/** Asks replicas, each by itself, what they know of themselves. */
export class Interviews implements AsyncDisposable {
  readonly #visitor: Visitor | undefined
  readonly #signal: AbortSignal

  static async begin({ signal, ...visit }: InterviewsInit): Promise<Interviews> {
    try {
      const visitor = await Visitor.enter({ ...visit, signal, timeoutMs: CONNECT_MS })
      visitor.watch()
      return new Interviews(visitor, signal)
    } catch (error) {
      // Nobody is there any more.
      if (!(error instanceof NobodyAnswers)) throw error
      return new Interviews(undefined, signal)
    }
  }

  private constructor(visitor: Visitor | undefined, signal: AbortSignal) {
    this.#visitor = visitor
    this.#signal = signal
  }

  /** Ask all of these. Rejects only with the reason of the signal. */
  async with(members: readonly Announced[]): Promise<Map<string, Heard>> {
    const heard = new Map<string, Heard>()
    const waiting = [...members]
    const askers = Array.from({ length: AT_ONCE }, async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
        heard.set(next.id, await this.#ask(next))
    })
    await Promise.all(askers)
    return heard
  }

  async #ask(member: Announced): Promise<Heard> {
    const beganMs = performance.now()
    const trying = tryAddresses(member.addresses, CONNECT_MS)
    let error = new Error('it is gone')
    for (;;) {
      const replica = this.#visitor?.replicas.find(({ id }) => id === member.id)
      // Another program may listen at its address now, so that the address tells nothing.
      if (replica === undefined) break
      const askedMs = performance.now()
      try {
        const account = await this.#account(replica)
        const tookMs = performance.now() - askedMs
        return { how: 'told', account, tookMs, atMs: Date.now(), tries: await trying }
      } catch (thrown) {
        this.#signal.throwIfAborted()
        error = asError(thrown)
      }
      const isConclusive = error instanceof WireError || error instanceof HandshakeFailed
      if (isConclusive || !(await trying).some(({ connects }) => connects)) break
      if (performance.now() - beganMs >= ASK_MS) break
      await delay(RETRY_MS, undefined, { signal: this.#signal })
    }
    const tries = await trying
    if (error instanceof WireError) return { how: 'refused', error, tries }
    return { how: tries.some(({ connects }) => connects) ? 'shut' : 'unreachable', error, tries }
  }

  async #account(replica: Member): Promise<Account> {
    const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(ASK_MS)])
    try {
      const json = await this.#visitor!.ask((channel) => channel.status(), { among: [replica], signal })
      return accountIn(json)
    } catch (error) {
      throw error instanceof NobodyAnswers ? (error.faults.get(replica.id) ?? error) : error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#visitor?.[Symbol.asyncDispose]()
  }
}
