import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { viewOf } from './views.ts'

/** Not by a name that the compiler follows: what is in it has the types of a browser, and this test those of Node. */
const MODULE = '../../../src/observe/page/client/live-connection.ts'
const { LiveConnection } = await import(new URL(MODULE, import.meta.url).href)

/** Stands in for the browser's: what it would do over hours is told to it. */
class Source extends EventTarget {
  static readonly CLOSED = 2
  static readonly all: Source[] = []
  readyState = 1

  constructor() {
    super()
    Source.all.push(this)
  }

  close(): void {
    this.readyState = Source.CLOSED
  }

  view(): void {
    this.dispatchEvent(new MessageEvent('view', { data: JSON.stringify(viewOf()) }))
  }

  event(lastEventId: string): void {
    const data = JSON.stringify({ type: lastEventId, atMs: 1, detail: {} })
    this.dispatchEvent(new MessageEvent('event', { data, lastEventId }))
  }

  fail(readyState: number): void {
    this.readyState = readyState
    this.dispatchEvent(new Event('error'))
  }

  static get last(): Source {
    return Source.all.at(-1)!
  }
}

const pageOf = () => Object.assign(new EventTarget(), { hidden: false })
let page = pageOf()
let told: string[] = []

beforeEach(() => {
  vi.useFakeTimers()
  vi.stubGlobal('EventSource', Source)
  page = pageOf()
  vi.stubGlobal('document', page)
  Source.all.length = 0
  told = []
  const connection = new LiveConnection({
    view: () => {},
    event: ({ type }: { readonly type: string }) => told.push(type),
    connection: (state: string) => told.push(state),
  })
  connection.open()
})

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function show(hidden: boolean): void {
  page.hidden = hidden
  page.dispatchEvent(new Event('visibilitychange'))
}

const live = () => Source.all.map(({ readyState }) => readyState !== Source.CLOSED)

test('a stream that says nothing is opened anew, as often as it takes', () => {
  Source.last.view()
  vi.advanceTimersByTime(14_000)
  Source.last.view()
  vi.advanceTimersByTime(14_000)
  expect(told).toEqual(['live', 'live'])
  vi.advanceTimersByTime(16_000)
  expect([told.slice(2), live()]).toEqual([
    ['lost', 'lost'],
    [false, false, true],
  ])
  Source.last.view()
  expect(told.at(-1)).toBe('live')
})

test('a stream that the browser gave up is opened anew, and tells no event twice', () => {
  Source.last.event('a-1')
  Source.last.event('a-2')
  Source.last.fail(Source.CLOSED)
  vi.advanceTimersByTime(1_000)
  for (const id of ['a-1', 'a-2', 'a-3', 'b-1', 'b-2']) Source.last.event(id)
  expect(told).toEqual(['a-1', 'a-2', 'lost', 'a-3', 'b-1', 'b-2'])
  // The browser comes back by itself.
  Source.last.fail(0)
  vi.advanceTimersByTime(1_000)
  expect(live()).toEqual([false, true])
})

test('a page that nobody sees ends its stream after a while, and opens one when it is seen', () => {
  show(true)
  vi.advanceTimersByTime(5_000)
  show(false)
  vi.advanceTimersByTime(6_000)
  Source.last.view()
  expect(live()).toEqual([true])
  show(true)
  vi.advanceTimersByTime(60_000)
  expect([live(), told]).toEqual([[false], ['live', 'connecting']])
  show(false)
  expect(live()).toEqual([false, true])
})
