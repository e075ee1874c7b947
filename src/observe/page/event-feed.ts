import { randomBytes } from 'node:crypto'
import { withoutPasswords } from '../../without-passwords.ts'
import type { ProcessEvent } from '../events.ts'

/** The newest events that are kept, for those who come, or come back. */
export const EVENTS_MAX = 500
/** What all of them take at most, in characters: less than may wait for a client. */
const LENGTH_MAX = 512 * 1024
/** The longest text of an event, in characters. Messages of errors may quote peers. */
const TEXT_LENGTH_MAX = 1_000
/** How much of a text is looked at, in characters. */
const READ_LENGTH_MAX = 4 * TEXT_LENGTH_MAX
/** What waits for the next flush: one for each peer that sends or is sent chunks. */
const PENDING_MAX = 100

export interface FedEvent {
  /** Names it among the events of all processes. */
  readonly id: string
  readonly number: number
  /** The `ProcessEvent`, as JSON. */
  readonly json: string
}

/**
 * The newest events of a replica, numbered. Those that tell how far something is, such as the chunks that a peer was sent
 * so far, take the place of the one before: only the newest is kept, and is told at the next flush or before the
 * next event of another kind.
 */
export class EventFeed {
  readonly #tell: (event: FedEvent) => void
  /** Tells the events of this process from those of its earlier lives. */
  readonly #life = randomBytes(8).toString('hex')
  /** The newest last. */
  readonly #kept = new Map<string, FedEvent>()
  readonly #pending = new Map<string, ProcessEvent>()
  #count = 0
  #length = 0

  /** @param tell is given each event once it has a number */
  constructor(tell: (event: FedEvent) => void) {
    this.#tell = tell
  }

  add(event: ProcessEvent): void {
    const progress = progressOf(event)
    if (progress === undefined || this.#pending.size >= PENDING_MAX) this.flush()
    if (progress === undefined) return this.#keep(`${this.#count}`, event)
    this.#pending.delete(progress)
    this.#pending.set(progress, event)
  }

  /** Number and tell what waits. */
  flush(): void {
    for (const [progress, event] of this.#pending) this.#keep(progress, event)
    this.#pending.clear()
  }

  /** What is kept and came after this event; all of it, if it is none of this process's. */
  after(id: string | undefined): FedEvent[] {
    const [life, number] = id?.split('-') ?? []
    const from = life === this.#life ? Number(number) : Number.NEGATIVE_INFINITY
    return [...this.#kept.values()].filter((event) => !(event.number <= from))
  }

  #keep(key: string, event: ProcessEvent): void {
    this.#count += 1
    const fed = { id: `${this.#life}-${this.#count}`, number: this.#count, json: jsonOf(event) }
    this.#forget(key)
    this.#kept.set(key, fed)
    this.#length += fed.json.length
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= EVENTS_MAX && this.#length <= LENGTH_MAX) break
      this.#forget(oldest)
    }
    this.#tell(fed)
  }

  #forget(key: string): void {
    this.#length -= this.#kept.get(key)?.json.length ?? 0
    this.#kept.delete(key)
  }
}

/** What an event tells the progress of; undefined for all others. */
function progressOf({ type, detail }: ProcessEvent): string | undefined {
  if (type !== 'sync') return undefined
  switch (detail.type) {
    case 'served':
      return `${detail.type} ${detail.peer} ${detail.anchor.index}`
    case 'fetched':
      return `${detail.type} ${detail.peer} ${detail.anchor.index} ${detail.outcome}`
    // A peer may go on asking for ever.
    case 'refused':
      return `${detail.type} ${detail.peer} ${detail.error.name}`
    case 'asked-again':
      return `${detail.type} ${detail.error.name}`
    case 'recalled':
    case 'revived':
      return `${detail.type} ${detail.anchor.index}`
    case 'session':
      return detail.state.status === 'fetching' ? detail.type : undefined
    default:
      return undefined
  }
}

/** Bytes are in hexadecimal, and maps are objects. */
function jsonOf(event: ProcessEvent): string {
  return JSON.stringify(event, (_key, value: unknown) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
    if (value instanceof Map) return Object.fromEntries(value)
    return typeof value === 'string' ? told(value) : value
  })
}

function told(text: string): string {
  const safe = withoutPasswords(text.slice(0, READ_LENGTH_MAX))
  return safe.length > TEXT_LENGTH_MAX ? `${safe.slice(0, TEXT_LENGTH_MAX)}…` : safe
}
