import { type Cell, readCells } from './chunk-cells.ts'
import { html, setAttributes, setText, svg } from './dom.ts'
import type { PeerMark } from './peer-marks.ts'

/** Sizes of a cell, in pixels, the largest first. */
const PITCHES = [34, 28, 24, 20, 16, 13, 11, 9, 7, 6, 5, 4]
const HEIGHT_MAX = 190
/** A cell of at least this size, in pixels, has its provider's letter in it. Smaller ones have a pattern. */
const LETTER_PITCH_MIN = 13
/** The gap between two cells, in cells. */
const GAP = 0.12

const NOBODY: PeerMark = { letter: '·', colour: -1 }

/**
 * A picture of chunks, one square each. There is one path for all squares of a provider, so that thousands of cells
 * cost as few elements as ten.
 */
export class ChunkGrid {
  readonly element: HTMLElement
  readonly #svg = svg('svg', 'grid', { role: 'img' })
  readonly #caption: HTMLElement
  readonly #layers = new Map<string, SVGElement>()
  /** The cells as they came, and read. */
  #told = ''
  #cells: readonly Cell[] = []
  #marks: readonly PeerMark[] = []
  #columns = 1
  #pitch = 0
  #width = 0
  #drawn = ''

  constructor() {
    this.#caption = html('figcaption', 'unseen')
    this.element = html('figure', 'chunks', {}, this.#svg, this.#caption)
    new ResizeObserver(([entry]) => {
      this.#width = entry?.contentRect.width ?? 0
      this.#draw([])
    }).observe(this.element)
  }

  /** Some of it was asked of two providers. */
  get hasHedged(): boolean {
    return this.#cells.some(({ hedged }) => hedged)
  }

  /** `told` is the cells in hexadecimal; `marks` are their providers', in their order; `text` says it in words. */
  show(told: string, marks: readonly PeerMark[], text: string): void {
    let fresh: number[] = []
    if (told !== this.#told) {
      const cells = readCells(told)
      fresh = cells.flatMap((cell, at) => (cell.here && this.#cells[at]?.here === false ? [at] : []))
      this.#told = told
      this.#cells = cells
    }
    this.#marks = marks
    setText(this.#caption, text)
    this.#svg.setAttribute('aria-label', text)
    this.#draw(fresh)
  }

  #draw(fresh: readonly number[]): void {
    if (this.#width === 0 || this.#cells.length === 0) return
    this.#arrange()
    const letters = this.#marks.map(({ letter }) => letter)
    const drawn = `${this.#pitch} ${this.#columns} ${letters} ${this.#told}`
    if (drawn === this.#drawn) return
    this.#drawn = drawn
    const groups = new Map<PeerMark, number[]>()
    const missing: number[] = []
    const hedged: number[] = []
    this.#cells.forEach((cell, at) => {
      if (cell.hedged) hedged.push(at)
      if (!cell.here) {
        missing.push(at)
        return
      }
      const mark = (cell.provider !== undefined && this.#marks[cell.provider]) || NOBODY
      const places = groups.get(mark)
      if (places === undefined) groups.set(mark, [at])
      else places.push(at)
    })
    const used = new Set<string>()
    this.#path('missing', missing, used)
    for (const [mark, places] of groups) this.#provider(mark, places, used)
    this.#corners(hedged, used)
    for (const [name, layer] of this.#layers) {
      if (used.has(name)) continue
      layer.remove()
      this.#layers.delete(name)
    }
    this.#flash(fresh)
  }

  /** Find the largest cells with which all fit. */
  #arrange(): void {
    const cells = this.#cells.length
    const fits = (pitch: number) =>
      Math.ceil(cells / Math.max(1, Math.floor(this.#width / pitch))) * pitch <= HEIGHT_MAX
    this.#pitch = PITCHES.find(fits) ?? PITCHES.at(-1)!
    this.#columns = Math.max(1, Math.min(cells, Math.floor(this.#width / this.#pitch)))
    const rows = Math.ceil(cells / this.#columns)
    setAttributes(this.#svg, {
      viewBox: `0 0 ${this.#columns} ${rows}`,
      width: this.#columns * this.#pitch,
      height: rows * this.#pitch,
    })
  }

  #provider(mark: PeerMark, places: readonly number[], used: Set<string>): void {
    const name = `cell mark-${mark.colour}`
    this.#path(`${name} of-${mark.letter}`, places, used)
    if (this.#pitch >= LETTER_PITCH_MIN) this.#letters(mark, places, used)
    else if (mark.colour >= 0) {
      const texture = this.#path(`texture of-${mark.letter}`, places, used)
      texture.setAttribute('fill', `url(#texture-${mark.colour})`)
    }
  }

  #path(name: string, places: readonly number[], used: Set<string>): SVGElement {
    const side = (1 - 2 * GAP).toFixed(2)
    const squares = places.map((at) => {
      const [x, y] = this.#placeOf(at)
      return `M${(x + GAP).toFixed(2)} ${(y + GAP).toFixed(2)}h${side}v${side}h-${side}z`
    })
    const path = this.#layer(name, 'path', used)
    setAttributes(path, { d: squares.join('') })
    return path
  }

  /** One element places all letters: each has its own coordinates. */
  #letters(mark: PeerMark, places: readonly number[], used: Set<string>): void {
    const text = this.#layer(`letter ink-${mark.colour} letter-${mark.letter}`, 'text', used)
    const letter = mark.letter.slice(0, 1)
    setAttributes(text, {
      x: places.map((at) => (this.#placeOf(at)[0] + 0.5).toFixed(2)).join(' '),
      y: places.map((at) => (this.#placeOf(at)[1] + 0.66).toFixed(2)).join(' '),
    })
    setText(text, letter.repeat(places.length))
  }

  /** Mark the cells that were asked of two providers. */
  #corners(places: readonly number[], used: Set<string>): void {
    const corners = places.map((at) => {
      const [x, y] = this.#placeOf(at)
      return `M${(x + 0.55).toFixed(2)} ${(y + GAP).toFixed(2)}h${(0.45 - GAP).toFixed(2)}v${(0.45 - GAP).toFixed(2)}z`
    })
    if (corners.length === 0) return
    const layer = this.#layer('hedged', 'path', used)
    setAttributes(layer, { d: corners.join('') })
    // Over the squares, also over those of a provider that came later.
    this.#svg.append(layer)
  }

  /** Let what has just come fade in. A new element starts the animation again. */
  #flash(places: readonly number[]): void {
    this.#svg.querySelector('.fresh')?.remove()
    if (places.length === 0) return
    const path = this.#path('fresh', places, new Set())
    this.#layers.delete('fresh')
    this.#svg.append(path)
  }

  #placeOf(at: number): [number, number] {
    return [at % this.#columns, Math.floor(at / this.#columns)]
  }

  #layer(name: string, tag: 'path' | 'text', used: Set<string>): SVGElement {
    used.add(name)
    let layer = this.#layers.get(name)
    if (layer === undefined) {
      layer = svg(tag, name)
      this.#layers.set(name, layer)
      this.#svg.append(layer)
    }
    return layer
  }
}
