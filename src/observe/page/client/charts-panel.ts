import type { PageView } from '../view.ts'
import { Chart } from './chart.ts'
import { byId } from './dom.ts'
import { count, size } from './format.ts'
import { History } from './history.ts'
import type { Panel } from './panel.ts'

const FIRST = '--line-0'
const SECOND = { colour: '--line-1', dash: [5, 4] }

/** How often they are drawn anew, in milliseconds: views may come four times a second. */
const DRAW_MS = 1_000

/** Lag and rates over the last minutes. */
export class ChartsPanel implements Panel {
  readonly #history = new History()
  readonly #charts = [
    new Chart({
      figure: byId('chart-lag'),
      title: 'Entries behind',
      text: count,
      lines: [
        { name: 'this replica', colour: FIRST, of: ({ lag }) => lag },
        { name: 'the last of the others', ...SECOND, of: ({ lagMost }) => lagMost },
      ],
    }),
    new Chart({
      figure: byId('chart-entries'),
      title: 'Entries per second',
      text: count,
      lines: [
        { name: 'applied here', colour: FIRST, of: ({ applied }) => applied },
        { name: 'appended to the log', ...SECOND, of: ({ appended }) => appended },
      ],
    }),
    new Chart({
      figure: byId('chart-bytes'),
      title: 'Chunk bytes per second',
      text: size,
      lines: [
        { name: 'coming in', colour: FIRST, of: ({ fetched }) => fetched },
        { name: 'going out', ...SECOND, of: ({ served }) => served },
      ],
    }),
  ]

  #drawnMs = Number.NEGATIVE_INFINITY

  show(view: PageView, nowMs: number): void {
    this.#history.add(view)
    if (nowMs - this.#drawnMs < DRAW_MS) return
    this.#drawnMs = nowMs
    for (const chart of this.#charts) chart.show(this.#history.samples)
  }
}
