import { BarChart } from 'echarts/charts'
import { GridComponent, TitleComponent } from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import { still } from '../bench/chart.ts'
import { short } from '../bench/table.ts'
import { COLUMNS, summary } from './columns.ts'
import type { Figures, Measured } from './results.ts'

use([BarChart, GridComponent, TitleComponent, SVGRenderer])

/** All sizes are in pixels. */
const WIDTH = 960
const MARGIN = 20
const HEADER_HEIGHT = 92
const ROW_HEIGHT = 38
const BAR_HEIGHT = 18
/** The names are on the left of this, and the plots on the right. */
const PLOTS_LEFT = 250
/** From one plot to the next, with the room for the value of its longest bar. */
const PLOT_PITCH = 178
const PLOT_WIDTH = 118

const INK = '#1f2328'
const GRAY = '#59636e'
const [OURS, OTHERS] = ['#0b6bcb', '#a8b1bb']
const PLOTS = ['in sync after', 'bytes moved', 'its memory', "providers' CPU"]

/** A bar for each contender, in plots of their own for time, bytes, memory and processor time. */
export function drawFigures(figures: Figures): string {
  const { measured } = figures
  const plots = COLUMNS.filter(({ title }) => PLOTS.includes(title))
  const height = HEADER_HEIGHT + measured.length * ROW_HEIGHT + MARGIN
  const left = (n: number) => PLOTS_LEFT + n * PLOT_PITCH
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: 'sans-serif' },
    title: [
      text('A newcomer gets the same state', MARGIN, MARGIN, 20, INK, 'bold'),
      ...measured.map(({ name }, row) =>
        text(plain(name), MARGIN, HEADER_HEIGHT + row * ROW_HEIGHT + 12, 13, INK),
      ),
      ...plots.map(({ title, unit }, n) => text(`${title}, ${unit}`, left(n), HEADER_HEIGHT - 28, 13, GRAY)),
    ],
    grid: plots.map((_, n) => ({
      left: left(n),
      width: PLOT_WIDTH,
      top: HEADER_HEIGHT,
      height: measured.length * ROW_HEIGHT,
    })),
    xAxis: plots.map((_, n) => ({ gridIndex: n, type: 'value', show: false })),
    yAxis: plots.map((_, n) => ({
      gridIndex: n,
      type: 'category',
      inverse: true,
      data: measured.map(({ name }) => name),
      axisLabel: { show: false },
      axisTick: { show: false },
      axisLine: { lineStyle: { color: GRAY } },
    })),
    series: plots.map(({ of }, n) => ({
      type: 'bar',
      xAxisIndex: n,
      yAxisIndex: n,
      silent: true,
      barWidth: BAR_HEIGHT,
      data: measured.map((one) => ({
        value: summary(one, of)?.median ?? 0,
        itemStyle: { color: isOurs(one) ? OURS : OTHERS },
      })),
      label: {
        show: true,
        position: 'right',
        fontSize: 13,
        color: INK,
        formatter: ({ value }: { value: unknown }) => short(value as number),
      },
    })),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return still(svg, 'A newcomer gets the same state: Anchorage beside others')
}

function isOurs({ id }: Measured): boolean {
  return id.startsWith('anchorage')
}

function text(
  text: string,
  left: number,
  top: number,
  fontSize: number,
  color: string,
  fontWeight = 'normal',
) {
  return { text, left, top, padding: 0, textStyle: { fontSize, color, fontWeight } }
}

/** A name without the marks of Markdown. */
function plain(name: string): string {
  return name.replaceAll('`', '')
}
