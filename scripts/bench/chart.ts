import { BarChart, type BarSeriesOption, LineChart, type LineSeriesOption } from 'echarts/charts'
import {
  GridComponent,
  type GridComponentOption,
  LegendComponent,
  TitleComponent,
  type TitleComponentOption,
} from 'echarts/components'
import { init, use } from 'echarts/core'
import { SVGRenderer } from 'echarts/renderers'
import type { Kept } from './kept.ts'
import { short, spread, verdict } from './table.ts'

use([BarChart, LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer])

/** The width of the chart. All sizes are in pixels. */
const WIDTH = 960
const MARGIN = 20
const HEADER_HEIGHT = 76
/** The words are on the left of this, and their plot is on the right. */
const PLOT_LEFT = 460
/** The space on the right for the values of the longest bars. */
const PLOT_RIGHT = 120
const BAR_HEIGHT = 20
const LINE_HEIGHT = 21
/** The gap between the words of one benchmark and those of the next. */
const GAP_HEIGHT = 22
const SERIES_HEIGHT_MIN = 220
/** The space below each plot. */
const AXIS_HEIGHT = 76
/** How many characters fit beside the plot, at 14 pixels. */
const LINE_CHARACTERS = 50

/** A series that spans more than this factor is drawn to a logarithmic scale. */
const LINEAR_SPAN = 20
/** `series/number` */
const POINT_NAME = /^(.+)\/(\d+)$/

const INK = '#1f2328'
const GRAY = '#59636e'
const GRIDLINE = '#e4e7eb'
const WHITE = '#ffffff'
const SIDES = [
  { name: 'ours', color: '#0b6bcb', z: 3, of: ({ value }: Kept) => value },
  { name: 'baseline', color: '#a8b1bb', z: 2, of: ({ baselineValue }: Kept) => baselineValue },
]
const STYLES = {
  name: { fontSize: 16, fontWeight: 'bold', color: INK },
  plain: { fontSize: 14, fontWeight: 'normal', color: INK },
  gray: { fontSize: 14, fontWeight: 'normal', color: GRAY },
  met: { fontSize: 14, fontWeight: 'normal', color: '#1a7f37' },
  missed: { fontSize: 14, fontWeight: 'bold', color: '#c62828' },
} as const
const AXIS_TEXT = { fontSize: 14, color: GRAY }

/** What is drawn on the same axes: the points of one series, or benchmarks with the same unit. */
interface Panel {
  readonly series: string | undefined
  readonly results: readonly Kept[]
}

/** A panel in the library's terms: the words, the axes, and what is drawn on them. */
interface Part {
  readonly title: readonly TitleComponentOption[]
  readonly grid: GridComponentOption & { readonly height: number }
  readonly xAxis: object
  readonly yAxis: object
  readonly series: readonly (BarSeriesOption | LineSeriesOption)[]
}

/** Ours beside the baseline, as an SVG document. It depends on the results alone. */
export function drawChart(group: string, results: readonly Kept[]): string {
  let height = HEADER_HEIGHT
  const parts = panelsOf(results).map((panel, index) => {
    const part =
      panel.series === undefined ? drawBars(panel, index, height) : drawSeries(panel, index, height)
    height += part.grid.height + AXIS_HEIGHT
    return part
  })
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({
    animation: false,
    backgroundColor: WHITE,
    textStyle: { fontFamily: 'sans-serif' },
    title: [
      { text: group, left: MARGIN, top: MARGIN, padding: 0, textStyle: { fontSize: 22, color: INK } },
      ...parts.flatMap(({ title }) => title),
    ],
    legend: { right: MARGIN, top: MARGIN, selectedMode: false, textStyle: { fontSize: 15, color: INK } },
    grid: parts.map(({ grid }) => grid),
    xAxis: parts.map(({ xAxis }) => xAxis),
    yAxis: parts.map(({ yAxis }) => yAxis),
    series: parts.flatMap(({ series }) => series),
  })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return still(svg, `${group}: ours beside the baseline`)
}

/** The panels, in the order of the results. */
function panelsOf(results: readonly Kept[]): Panel[] {
  const seriesOf = ({ name }: Kept) => POINT_NAME.exec(name)?.[1]
  const panels = Map.groupBy(results, (result) => JSON.stringify([seriesOf(result), result.unit]))
  return [...panels.values()].map((results) => ({ series: seriesOf(results[0]!), results }))
}

function drawBars({ results }: Panel, index: number, top: number): Part {
  const texts = results.map((result): Line[] => [
    { style: 'name', text: result.name },
    ...against(result.baseline),
    judgement(result),
  ])
  const height = Math.max(...texts.map(({ length }) => length)) * LINE_HEIGHT + GAP_HEIGHT
  return {
    title: texts.flatMap((lines, row) => words(top + row * height, lines)),
    grid: { left: PLOT_LEFT, right: PLOT_RIGHT, top, height: results.length * height },
    xAxis: { ...numbers(index), ...titled(results[0]!.unit) },
    yAxis: {
      gridIndex: index,
      type: 'category',
      inverse: true,
      data: results.map(({ name }) => name),
      axisLabel: { show: false },
      axisTick: { show: false },
      axisLine: { lineStyle: { color: GRAY } },
    },
    series: SIDES.map(({ name, color, z, of }) => ({
      type: 'bar',
      name,
      xAxisIndex: index,
      yAxisIndex: index,
      silent: true,
      z,
      barWidth: BAR_HEIGHT,
      itemStyle: { color },
      data: results.map(of),
      label: {
        show: true,
        position: 'right',
        fontSize: 14,
        color: INK,
        formatter: ({ value }) => short(value as number | null),
      },
    })),
  }
}

function drawSeries({ series, results }: Panel, index: number, top: number): Part {
  const { unit } = results[0]!
  const points = results.toSorted((a, b) => numberOf(a) - numberOf(b))
  const [least, most] = [numberOf(points[0]!), numberOf(points.at(-1)!)]
  const isLogarithmic = least > 0 && most / least > LINEAR_SPAN
  const haveOneBaseline = points.every(({ baseline }) => baseline === points[0]!.baseline)
  const lines: Line[] = [
    { style: 'name', text: series! },
    ...(haveOneBaseline ? against(points[0]!.baseline) : []),
    ...points.flatMap((result) => [
      pointText(result),
      ...(haveOneBaseline ? [] : against(result.baseline)),
      judgement(result),
    ]),
  ]
  return {
    title: words(top, lines),
    grid: {
      left: PLOT_LEFT,
      right: PLOT_RIGHT,
      top,
      height: Math.max(lines.length * LINE_HEIGHT, SERIES_HEIGHT_MIN),
    },
    xAxis: {
      ...numbers(index),
      type: isLogarithmic ? 'log' : 'value',
      ...(isLogarithmic ? { min: least, max: most } : {}),
      axisLabel: { ...AXIS_TEXT, customValues: points.map(numberOf), formatter: whole },
      axisTick: { show: true, customValues: points.map(numberOf) },
    },
    yAxis: { ...numbers(index), ...titled(unit) },
    series: SIDES.map(({ name, color, z, of }) => ({
      type: 'line',
      name,
      xAxisIndex: index,
      yAxisIndex: index,
      silent: true,
      z,
      clip: false,
      symbol: 'circle',
      symbolSize: 9,
      itemStyle: { color },
      lineStyle: { color, width: 3 },
      data: points.map((result) => [numberOf(result), of(result)]),
    })),
  }
}

interface Line {
  readonly style: keyof typeof STYLES
  readonly text: string
}

/** Lines of words beside their plot. */
function words(top: number, lines: readonly Line[]): TitleComponentOption[] {
  return lines.map(({ style, text }, n) => ({
    left: MARGIN,
    top: top + n * LINE_HEIGHT,
    padding: 0,
    text,
    textStyle: STYLES[style],
  }))
}

function against(baseline: string): Line[] {
  return wrap(`against ${baseline}`).map((text) => ({ style: 'gray', text }))
}

function pointText(result: Kept): Line {
  const { value, baselineValue, unit } = result
  const text = `${whole(numberOf(result))}: ${short(value)} against ${short(baselineValue)} ${unit}`
  return { style: 'plain', text }
}

function judgement({ ratio, ratioMin, ratioMax, target, met }: Kept): Line {
  const text = `ratio ${short(ratio)} (${spread(ratioMin, ratioMax)})`
  if (target === null || met === null) return { style: 'plain', text }
  return { style: met ? 'met' : 'missed', text: `${text}, target ${target}: ${verdict(met)}` }
}

/** Split a text into lines of whole words. */
function wrap(text: string): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`.trimStart()
    if (longer.length > LINE_CHARACTERS) lines.push(word)
    else lines[lines.length - 1] = longer
  }
  return lines
}

/** An axis of numbers from zero. */
function numbers(index: number) {
  return {
    gridIndex: index,
    type: 'value',
    axisLabel: { ...AXIS_TEXT, formatter: short },
    axisLine: { show: false },
    splitLine: { lineStyle: { color: GRIDLINE } },
    splitNumber: 4,
  }
}

function titled(unit: string) {
  return { name: unit, nameLocation: 'middle', nameGap: 32, nameTextStyle: AXIS_TEXT }
}

/** The number of a point of a series. */
function numberOf({ name }: Kept): number {
  return Number(POINT_NAME.exec(name)![2])
}

function whole(value: number): string {
  return value.toLocaleString('en')
}

/**
 * Adds a title to the document. Removes what only a page in a browser needs, and the library's count of its
 * documents.
 */
export function still(svg: string, title: string): string {
  return svg
    .replace(/^<svg [^>]*>/, (tag) => `${tag}\n<title>${title}</title>`)
    .replace(/<style >.*<\/style>\n*/s, '')
    .replace(/ (class|ecmeta_\w+|pointer-events)="[^"]*"/g, '')
    .replace(/\bzr\d+-/g, '')
    .concat('\n')
}
