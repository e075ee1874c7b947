import type { Chance } from '../chance.ts'
import type { Life } from '../life.ts'
import type { World } from '../world.ts'

export type LogKind = 'local' | 'service'

export interface LogLatency {
  /** From a process to the log, in milliseconds. */
  readonly thereMs?: number
  /** From the log to a process, in milliseconds. */
  readonly backMs?: number
  /** Up to so much more each way, by chance, in milliseconds. */
  readonly jitterMs?: number
}

/** What a process has to the log. */
export interface Caller {
  readonly life: Life
  readonly node: string
  readonly connected: boolean
  /** The process notices that the log does not answer, if that is so. */
  lost(): void
  /** The process tries again. */
  found(): void
}

/** Each way to a service in the same data centre, in milliseconds. */
const SERVICE_MS = 0.5
/** How long a client of NATS pauses at most before it looks for its servers again, in milliseconds. */
const RECONNECT_MS = 2_000

/** Who gets to the log, and how fast. */
export class Reach {
  readonly kind: LogKind
  readonly lines = new Set<Caller>()
  /** What all requests take longer, in milliseconds. */
  delayMs = 0
  readonly #chance: Chance
  #latency: Required<LogLatency>
  #isAway = false
  readonly #away = new Set<string>()
  readonly #frozen = new Set<string>()
  readonly #slow = new Map<string, number>()

  constructor(world: World, kind: LogKind) {
    this.kind = kind
    this.#chance = world.chance('log')
    const ms = kind === 'service' ? SERVICE_MS : 0
    this.#latency = { thereMs: ms, backMs: ms, jitterMs: 0 }
  }

  setLatency(latency: LogLatency): void {
    this.#latency = { ...this.#latency, ...latency }
  }

  thereMs(): number {
    return this.#latency.thereMs + this.#jitterMs() + this.delayMs
  }

  backMs(): number {
    return this.#latency.backMs + this.#jitterMs()
  }

  /** From the commit of an entry until a reader on this node has it. */
  lagMs(node: string): number {
    return this.backMs() + (this.#slow.get(node) ?? 0)
  }

  slow(node: string, ms: number): void {
    if (ms > 0) this.#slow.set(node, ms)
    else this.#slow.delete(node)
  }

  /** Whether requests of this node come through, whatever its processes know. */
  reaches(node: string): boolean {
    return !this.#isAway && !this.#away.has(node)
  }

  reachesPresences(node: string): boolean {
    return this.reaches(node) && !this.#frozen.has(node)
  }

  goAway(node: string | undefined, noticeMs: number): void {
    if (node === undefined) this.#isAway = true
    else this.#away.add(node)
    if (this.kind === 'local') return
    for (const line of this.#linesOf(node)) line.life.schedule(noticeMs, () => line.lost())
  }

  /** Without a node, everything comes back. */
  comeBack(node: string | undefined): void {
    if (node === undefined) {
      this.#isAway = false
      this.#away.clear()
    } else this.#away.delete(node)
    for (const line of this.#linesOf(node)) {
      const pauseMs = line.connected ? 0 : this.#chance.next() * RECONNECT_MS
      line.life.schedule(pauseMs, () => line.found())
    }
  }

  freeze(node: string): void {
    this.#frozen.add(node)
  }

  thaw(node: string | undefined): void {
    if (node === undefined) this.#frozen.clear()
    else this.#frozen.delete(node)
    for (const line of this.#linesOf(node)) line.life.schedule(0, () => line.found())
  }

  mend(): void {
    this.delayMs = 0
    this.#slow.clear()
    this.#frozen.clear()
    this.comeBack(undefined)
  }

  #linesOf(node: string | undefined): Caller[] {
    return [...this.lines].filter((line) => node === undefined || line.node === node)
  }

  #jitterMs(): number {
    const { jitterMs } = this.#latency
    return jitterMs > 0 ? this.#chance.next() * jitterMs : 0
  }
}
