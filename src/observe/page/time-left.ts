import { Rate } from './rate.ts'
import type { CatchUpView } from './view.ts'

/** Over how long the rate of a catch-up is measured, in milliseconds. Members announce theirs every few seconds. */
const WINDOW_MS = 10_000

/** How long catch-ups still take to have every chunk, by how fast they went lately. */
export class TimeLeft {
  #rates = new Map<string, Rate>()

  /** @param running all catch-ups that run now, as they are */
  of(running: readonly Omit<CatchUpView, 'leftMs'>[]): CatchUpView[] {
    const before = this.#rates
    // Those that ended are forgotten.
    this.#rates = new Map()
    return running.map((catchUp) => {
      const { member, id, phase, anchor, elapsedMs, bytes, bytesTotal } = catchUp
      const key = `${member} ${id} ${anchor}`
      const rate = before.get(key) ?? new Rate(WINDOW_MS)
      this.#rates.set(key, rate)
      rate.sample(elapsedMs, bytes)
      if (phase !== 'fetching' || rate.perSecond === 0 || bytesTotal < bytes) return catchUp
      return { ...catchUp, leftMs: Math.round(((bytesTotal - bytes) / rate.perSecond) * 1_000) }
    })
  }
}
