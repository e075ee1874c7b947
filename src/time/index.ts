/**
 * Time, as everything here takes it, `anchorage/time`. A `Clock` tells it, waits and yields; `systemClock` is the
 * machine's, and a `VirtualClock` stands still until it is moved. A `Ticker` repeats a task. No other module asks the
 * machine for the time: `npm run check` holds that.
 *
 * @packageDocumentation
 */
export { type Clock, sleep, systemClock, type Timer } from './clock.ts'
export { startTicker, Ticker, type TickerInit, TickerStopped } from './ticker.ts'
export { VirtualClock } from './virtual-clock.ts'
export { SPANS, type Span } from './yielder.ts'
