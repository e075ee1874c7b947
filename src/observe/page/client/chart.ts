import uPlot from 'uplot'
import { html, setText } from './dom.ts'
import { HISTORY_MS, type Sample } from './history.ts'

const HEIGHT = 150
/** The shortest time that is drawn, in seconds. */
const SPAN_S_MIN = 60

export interface Line {
  readonly name: string
  readonly of: (sample: Sample) => number
  /** The names of its colour's and its dashes' custom properties in the style sheet. */
  readonly colour: string
  readonly dash?: readonly number[]
}

export interface ChartInit {
  readonly figure: HTMLElement
  readonly title: string
  readonly lines: readonly Line[]
  /** A value as text. */
  readonly text: (value: number) => string
}

/** Some figures over the last minutes. Its caption says the newest ones in words. */
export class Chart {
  readonly #init: ChartInit
  readonly #caption = html('figcaption')
  readonly #canvas = html('div', 'plot', { 'aria-hidden': 'true' })
  readonly #values: readonly HTMLElement[]
  #plot: uPlot | undefined
  #samples: readonly Sample[] = []

  constructor(init: ChartInit) {
    this.#init = init
    this.#values = init.lines.map(() => html('b'))
    this.#caption.append(html('span', 'title', {}, init.title))
    init.lines.forEach(({ name }, at) => {
      this.#caption.append(html('span', `line line-${at}`, {}, `${name} `, this.#values[at]!))
    })
    init.figure.append(this.#caption, this.#canvas)
    new ResizeObserver(([entry]) => this.#resize(Math.floor(entry?.contentRect.width ?? 0))).observe(
      this.#canvas,
    )
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#restart())
  }

  show(samples: readonly Sample[]): void {
    this.#samples = samples
    const last = samples.at(-1)
    this.#init.lines.forEach(({ of }, at) => {
      if (last !== undefined) setText(this.#values[at]!, this.#init.text(of(last)))
    })
    this.#plot?.setData(this.#data())
  }

  #data(): uPlot.AlignedData {
    const at = this.#samples.map(({ atMs }) => atMs / 1_000)
    return [at, ...this.#init.lines.map(({ of }) => this.#samples.map(of))] as uPlot.AlignedData
  }

  #resize(width: number): void {
    if (width === 0) return
    if (this.#plot === undefined) this.#start(width)
    else if (this.#plot.width !== width) this.#plot.setSize({ width, height: HEIGHT })
  }

  #restart(): void {
    const width = this.#plot?.width
    this.#plot?.destroy()
    if (width !== undefined) this.#start(width)
  }

  #start(width: number): void {
    const style = getComputedStyle(document.documentElement)
    const colour = (name: string) => style.getPropertyValue(name).trim()
    const { lines, text } = this.#init
    const axis = {
      stroke: colour('--muted'),
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif',
    }
    this.#plot = new uPlot(
      {
        width,
        height: HEIGHT,
        legend: { show: false },
        cursor: { show: false },
        scales: {
          x: { range: spanOf },
          y: { range: rangeOf },
        },
        series: [
          {},
          ...lines.map((line) => ({
            stroke: colour(line.colour),
            width: 1.75,
            points: { show: false },
            ...(line.dash && { dash: [...line.dash] }),
          })),
        ],
        axes: [
          { ...axis, size: 26, space: 90, values: (_plot, at) => at.map(timeOfDay) },
          { ...axis, size: 62, space: 34, values: (_plot, values) => values.map((value) => text(value)) },
        ],
      },
      this.#data(),
      this.#canvas,
    )
  }
}

/** The last minutes, as far as the page has seen them. */
function spanOf(_plot: uPlot, least: number, most: number): uPlot.Range.MinMax {
  return [Math.max(most - HISTORY_MS / 1_000, Math.min(least, most - SPAN_S_MIN)), most]
}

/** From 0 on, with some room above. */
function rangeOf(_plot: uPlot, _least: number | null, most: number | null): uPlot.Range.MinMax {
  return [0, Math.max(10, (most ?? 0) * 1.1)]
}

function timeOfDay(seconds: number): string {
  return new Date(seconds * 1_000).toTimeString().slice(0, 8)
}
