import { Blake3Hasher } from '@napi-rs/blake-hash'

/** Something that happened in a run. */
export interface Note {
  /** Milliseconds of the world's time since the run began. */
  readonly atMs: number
  /** Whose it is: a process, `log`, `network`, `disk` or `plan`. */
  readonly who: string
  readonly what: string
}

/** The newest notes of each that are kept, for the timeline of a failure. */
const KEPT = 60
/**
 * Notes are hashed this many characters at a time: a call into the hash costs as much as a thousand of them.
 */
const PIECE = 16_384

/** All that happened, as a hash, and the newest of it in words. */
export class Trace {
  readonly #hasher = new Blake3Hasher()
  readonly #newest = new Map<string, Note[]>()
  #piece = ''
  #count = 0

  get count(): number {
    return this.#count
  }

  note(note: Note): void {
    this.#count++
    this.#piece += `${note.atMs} ${note.who} ${note.what}\n`
    if (this.#piece.length >= PIECE) this.#flush()
    const own = this.#newest.get(note.who) ?? []
    own.push(note)
    // In one go for many, since each removal moves the rest.
    if (own.length >= 2 * KEPT) own.splice(0, KEPT)
    this.#newest.set(note.who, own)
  }

  /** The hash of all notes so far, in hexadecimal. Two runs with the same hash did the same. */
  get hash(): string {
    this.#flush()
    return this.#hasher.digest('hex')
  }

  /** The newest notes of everybody, by time. */
  timeline(perWho = KEPT): Note[] {
    return [...this.#newest.values()].flatMap((notes) => notes.slice(-perWho)).sort((a, b) => a.atMs - b.atMs)
  }

  #flush(): void {
    this.#hasher.update(this.#piece)
    this.#piece = ''
  }
}
