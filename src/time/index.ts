/**
 * Time, as everything here takes it. A `Clock` tells it, waits and yields; `systemClock` is the machine's,
 * and a `VirtualClock` stands still until it is moved. A `Ticker` repeats a task, a `Deadline` ends one, and
 * a `Yielder` cuts a long one into slices. No other module asks the machine for the time: `npm run check`
 * holds that.
 */
export { type Clock, sleep, systemClock, type Timer } from './clock.ts'
export { startTicker, Ticker, type TickerInit, TickerStopped } from './ticker.ts'
export { VirtualClock } from './virtual-clock.ts'
