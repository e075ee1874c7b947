import type { CatchUpProgress } from '../group/catch-up-progress.ts'
import { Rate } from '../time/rate.ts'

/** Over how long the rate of a catch-up is measured, in milliseconds. Members announce theirs every few seconds. */
const WINDOW_MS = 10_000

/** A catch-up of a member. */
export interface MemberCatchUp
  extends Pick<CatchUpProgress, 'id' | 'phase' | 'anchor' | 'elapsedMs' | 'bytes' | 'bytesTotal'> {
  readonly member: string
}

/** How long catch-ups still take to have every chunk, by how fast they went lately. */
export class TimeLeft {
  #rates = new Map<string, Rate>()

  /** @param running all catch-ups that run now, as they are */
  of<CatchUp extends MemberCatchUp>(running: readonly CatchUp[]): (CatchUp & { readonly leftMs?: number })[] {
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
