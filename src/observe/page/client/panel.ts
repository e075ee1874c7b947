import type { PageView } from '../view.ts'

/** One part of the page. */
export interface Panel {
  /** `nowMs` is the page's own monotonic clock. */
  show(view: PageView, nowMs: number): void
  /** Called several times a second, for what moves between two views. */
  tick?(nowMs: number): void
}
