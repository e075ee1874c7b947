/** Something that happened in a run. */
export interface TimelineEvent {
  /** Milliseconds since the run began. */
  readonly atMs: number
  readonly who: string
  readonly what: string
}

/** Events that are kept, and events that are shown with a broken promise. */
const KEPT = 1_000
const SHOWN = 100
const WIDTH_MAX = 240

/** The newest of all that was done, and of all that was told. */
export class Timeline {
  readonly #beganMs = Date.now()
  readonly #say: ((line: string) => void) | undefined
  #events: TimelineEvent[] = []

  /** @param say is told of each event at once */
  constructor(say?: (line: string) => void) {
    this.#say = say
  }

  /** `atMs` in milliseconds since 1970. Default: now. */
  note(who: string, what: string, atMs = Date.now()): void {
    const event = { atMs: atMs - this.#beganMs, who, what: what.slice(0, WIDTH_MAX) }
    this.#events.push(event)
    this.#say?.(lineOf(event))
    if (this.#events.length > 2 * KEPT) this.#events = this.#events.slice(-KEPT)
  }

  /** The newest events as text, the latest last. Processes are heard of later than they spoke. */
  newest(): string[] {
    return this.#events
      .toSorted((a, b) => a.atMs - b.atMs)
      .slice(-SHOWN)
      .map(lineOf)
  }
}

function lineOf({ atMs, who, what }: TimelineEvent): string {
  return `${(atMs / 1_000).toFixed(3).padStart(9)} ${who.padEnd(8)} ${what}`
}
