import type { Machine } from '../bench/machine.ts'

/** One newcomer, from the start of its process until it had answered a read. */
export interface Join {
  readonly tookMs: number
  /** Part of it: until its program had loaded its libraries. */
  readonly loadedMs: number
  /** Over loopback, with the headers of TCP or UDP. Null if they cannot be counted apart. */
  readonly bytes: number | null
  readonly peakMiB: number
  readonly newcomerCpuMs: number
  /** Of all processes that served it. */
  readonly providersCpuMs: number
}

export interface Measured {
  readonly id: string
  readonly name: string
  readonly joins: readonly Join[]
}

/** What was left out, and why. */
export interface Missing {
  readonly name: string
  readonly why: string
}

/** The content of figures.json. The page's table and the chart are made from it. */
export interface Figures {
  readonly machine: Machine
  /** ISO 8601, UTC. */
  readonly date: string
  /** How long measuring took, in minutes, without installing. */
  readonly minutes: number
  /** The load averages of one minute before the first newcomer and after the last. */
  readonly load: readonly [before: number, after: number]
  /** Over loopback, while all wait for a newcomer. Null if it cannot be counted apart. */
  readonly idleBytesPerSecond: number | null
  readonly versions: Readonly<Record<string, string>>
  readonly items: number
  readonly rounds: number
  /** Bytes of all keys and values that a newcomer ends with. */
  readonly stateBytes: number
  readonly measured: readonly Measured[]
  readonly missing: readonly Missing[]
}
