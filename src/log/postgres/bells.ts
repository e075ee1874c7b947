import type { Clock } from '../../time/clock.ts'
import { Notifier } from '../notifier.ts'

/** What changed in a log. */
export type Change = 'entries' | 'board'

/** Those who wait for a change of one kind. */
export class Bells {
  readonly #waiting: Readonly<Record<Change, Set<Notifier>>> = { entries: new Set(), board: new Set() }

  /** A bell that rings at each change from now on. Dispose of it. */
  hang(change: Change): Bell {
    const notifier = new Notifier()
    this.#waiting[change].add(notifier)
    return {
      notify: notifier.notify,
      wait: () => notifier.wait(),
      [Symbol.dispose]: () => {
        this.#waiting[change].delete(notifier)
      },
    }
  }

  ring(change: Change): void {
    for (const notifier of this.#waiting[change]) notifier.notify()
  }
}

export interface Bell extends Disposable {
  notify(): void
  wait(): Promise<void>
}

/** Resolves when the bell rings, after some time, or when the signal aborts. */
export async function untilTold(
  bell: Bell,
  afterMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const timer = clock.schedule(afterMs, () => bell.notify())
  const onAbort = () => bell.notify()
  signal.addEventListener('abort', onAbort, { once: true })
  if (!signal.aborted) await bell.wait()
  signal.removeEventListener('abort', onAbort)
  timer.cancel()
}
