import type { CatchUpView, PageView } from '../view.ts'

export interface ShownCatchUp {
  readonly view: CatchUpView
  /** 'running' until it is told no more; 'done' if its replica is in sync since. */
  readonly state: 'running' | 'done' | 'ended'
  /** When the page saw it last, on its own clock. */
  readonly seenMs: number
}

/** How long one stays that has ended, in milliseconds, so that one can read how it went. */
const STAYS_MS = 45_000
/** How many of these stay. */
const STAY_MAX = 3

/** The catch-ups that run, and the last ones that ended. */
export class CatchUpMemory {
  #shown: readonly ShownCatchUp[] = []
  #self = ''

  /** Those that run come first, in the view's order. */
  shown({ self, catchUps, members }: PageView, nowMs: number): readonly ShownCatchUp[] {
    const before = self === this.#self ? this.#shown : []
    this.#self = self
    const ids = new Set(catchUps.map(({ id }) => id))
    const busy = new Set(catchUps.map(({ member }) => member))
    const states = new Map(members.map(({ id, state }) => [id, state]))
    const ended = before
      .filter(({ view, seenMs }) => !ids.has(view.id) && !busy.has(view.member) && nowMs - seenMs < STAYS_MS)
      .map((it) => {
        if (it.state === 'done') return it
        return { ...it, state: states.get(it.view.member) === 'in-sync' ? 'done' : 'ended' } as const
      })
    const running = catchUps.map((view) => ({ view, state: 'running', seenMs: nowMs }) as const)
    this.#shown = [...running, ...ended.slice(0, STAY_MAX)]
    return this.#shown
  }
}
