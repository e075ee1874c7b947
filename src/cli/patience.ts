import { HandshakeFailed } from '../sync/errors.ts'
import type { SyncEvent } from '../sync/events.ts'
import type { Context } from './context.ts'
import { shortId } from './output.ts'

/**
 * The most that is told each second of why the wait goes on, in characters: one line of a terminal or two.
 */
const BRIEF_CHARS = 240

/** Waits for the group, tells each second for what, and knows when waiting is in vain. */
export class Patience {
  readonly #context: Pick<Context, 'output' | 'signal'>
  /** The replicas beside this command. */
  readonly #others: () => readonly { readonly id: string }[]
  /** Why the wait goes on, as far as is known. */
  #obstacle: Error | undefined
  #giveUp: ((why: Error) => void) | undefined
  /** Replicas that seem to have another network key: their handshake failed. */
  readonly #strangers = new Set<string>()

  constructor(context: Pick<Context, 'output' | 'signal'>, others: () => readonly { readonly id: string }[]) {
    this.#context = context
    this.#others = others
  }

  /** Await work. A group with another network key will not answer, so that ends the wait at once. */
  async waiting<T>(what: () => string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { output, signal } = this.#context
    const giveUp = new AbortController()
    this.#obstacle = undefined
    this.#giveUp = (why) => giveUp.abort(why)
    const text = () =>
      [`waiting ${what()}`, this.#obstacle && brief(this.#obstacle)].filter(Boolean).join('; ')
    try {
      return await output.waiting(text, work(AbortSignal.any([signal, giveUp.signal])))
    } finally {
      this.#giveUp = undefined
    }
  }

  /** Something holds the work up. */
  met(error: Error): void {
    this.#obstacle = error
  }

  heard(event: SyncEvent): void {
    if (event.type === 'asked-again') {
      this.#obstacle = event.error
      if (event.error instanceof HandshakeFailed) this.#giveUp?.(event.error)
    }
    if (event.type === 'fault') this.#faulty(event.peer, event.error)
  }

  /** One of several replicas may serve although another does not talk to this one. */
  #faulty(peer: string, error: Error): void {
    this.#obstacle = error
    if (!(error instanceof HandshakeFailed)) return
    this.#strangers.add(peer)
    if (this.#others().every(({ id }) => this.#strangers.has(id))) this.#giveUp?.(error)
  }
}

function brief({ message }: Error): string {
  const text = message.replaceAll(/12D3KooW\w{44}/g, shortId)
  return text.length > BRIEF_CHARS ? `${text.slice(0, BRIEF_CHARS)}…` : text
}
