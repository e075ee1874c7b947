/** A letter and a colour by which the page shows one replica everywhere. */
export interface PeerMark {
  /** "A" to "Z", then "A1" and so on. */
  readonly letter: string
  /** From 0 to 7: the classes `mark-0` to `mark-7`. Each has a pattern of its own, too. */
  readonly colour: number
}

const LETTERS = 26
const COLOURS = 8

/** Gives out the marks. A replica keeps its mark until it is gone; then another one may get it. */
export class PeerMarks {
  readonly #places = new Map<string, number>()
  readonly #taken = new Set<number>()

  /** The mark of this replica: the first one that is free, if it has none. */
  of(peer: string): PeerMark {
    let place = this.#places.get(peer)
    if (place === undefined) {
      place = 0
      while (this.#taken.has(place)) place++
      this.#places.set(peer, place)
      this.#taken.add(place)
    }
    const round = Math.floor(place / LETTERS)
    const letter = String.fromCharCode(65 + (place % LETTERS))
    return { letter: round === 0 ? letter : `${letter}${round}`, colour: place % COLOURS }
  }

  /** Take back the marks of all others. */
  keep(peers: ReadonlySet<string>): void {
    for (const [peer, place] of this.#places) {
      if (peers.has(peer)) continue
      this.#places.delete(peer)
      this.#taken.delete(place)
    }
  }
}
