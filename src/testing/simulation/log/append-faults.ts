import type { NewEntry } from '../../../log/log.ts'
import type { Life } from '../life.ts'

/**
 * What becomes of an append. Three reject with `AppendUncertain`: after `lose-ack` all of it is in the log,
 * after `tear` its first half (a single entry is whole), after `lose-request` nothing. After the refusals,
 * nothing is in the log either.
 */
export type AppendFate = 'pass' | 'lose-ack' | 'tear' | 'lose-request' | Refusal
export type Refusal = 'busy' | 'unavailable' | 'refused'

/** An append as it comes to the log. */
export interface Attempt {
  readonly life: Life
  readonly node: string
  readonly entries: readonly NewEntry[]
}

export interface FaultOptions {
  /** Whose appends. Default: everybody's. */
  readonly node?: string | undefined
  /** How long the writer hears nothing, in milliseconds. Default 0. */
  readonly afterMs?: number
}

export interface Ruling {
  readonly fate: AppendFate
  readonly afterMs: number
}

interface Fault extends Ruling {
  readonly node: string | undefined
  left: number
}

const PASS: Ruling = { fate: 'pass', afterMs: 0 }

/** What is to befall the next appends. */
export class AppendFaults {
  readonly #interceptors = new Set<(attempt: Attempt) => AppendFate>()
  #faults: Fault[] = []

  /** Ask about each append. Returns what ends that. */
  intercept(decide: (attempt: Attempt) => AppendFate): () => void {
    this.#interceptors.add(decide)
    return () => this.#interceptors.delete(decide)
  }

  add(fate: AppendFate, count: number, { node, afterMs = 0 }: FaultOptions = {}): void {
    if (count > 0) this.#faults.push({ fate, afterMs, node, left: count })
  }

  clear(): void {
    this.#faults = []
  }

  rule(attempt: Attempt): Ruling {
    for (const decide of this.#interceptors) {
      const fate = decide(attempt)
      if (fate !== 'pass') return { fate, afterMs: 0 }
    }
    if (this.#faults.length === 0) return PASS
    const fault = this.#faults.find(({ node }) => node === undefined || node === attempt.node)
    if (fault === undefined) return PASS
    if (--fault.left === 0) this.#faults = this.#faults.filter((other) => other !== fault)
    return fault
  }
}
