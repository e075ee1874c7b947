import { readFile } from 'node:fs/promises'
import type { ErrorSummary, ProcessEvent, ReplicaProcess } from '../../src/testing/index.ts'
import { codeOf, Tally } from './tally.ts'
import type { Timeline } from './timeline.ts'
import type { Verdicts } from './verdicts.ts'

/** A joiner that has caught up, and from what. */
export interface CatchUp {
  readonly who: string
  readonly anchor: number
  /** From the moment it asked to the moment it was in sync. */
  readonly totalMs: number
}

interface Life {
  readonly process: ReplicaProcess
  read: number
  isOver: boolean
}

const POLL_INTERVAL_MS = 500
/** What a joiner tells of a peer again and again is noted once in so many milliseconds. */
const REPEATED_MS = 10_000

/** Hears what every process tells, and looks at what it takes. */
export class Observer implements Disposable {
  readonly problems = new Tally()
  readonly catchUps: CatchUp[] = []
  readonly #timeline: Timeline
  readonly #verdicts: Verdicts
  readonly #polling: NodeJS.Timeout
  #lives: Life[] = []
  #largestRssBytes = 0
  /** When each of those was noted last. */
  readonly #repeated = new Map<string, number>()

  constructor(timeline: Timeline, verdicts: Verdicts) {
    this.#timeline = timeline
    this.#verdicts = verdicts
    this.#polling = setInterval(() => void this.look(), POLL_INTERVAL_MS)
  }

  get largestRssBytes(): number {
    return this.#largestRssBytes
  }

  [Symbol.dispose](): void {
    clearInterval(this.#polling)
  }

  watch(process: ReplicaProcess): void {
    this.#lives.push({ process, read: 0, isOver: false })
  }

  /** Read what has been told since the last look. */
  async look(): Promise<void> {
    for (const life of this.#lives) this.#read(life)
    this.#lives = this.#lives.filter(({ isOver }) => !isOver)
    await Promise.all(this.#lives.map(({ process }) => this.#weigh(process)))
  }

  #read(life: Life): void {
    const { process } = life
    const isOver = !process.running
    for (; life.read < process.events.length; life.read++)
      this.#told(process.name, process.events[life.read]!)
    if (!isOver) return
    life.isOver = true
    if (process.crashed)
      this.#verdicts.broken(
        'always an answer',
        `${process.name} ended by itself: ${process.logs.slice(-5).join(' / ')}`,
      )
  }

  #told(who: string, event: ProcessEvent): void {
    if (isTelling(event) && !this.#isRepeated(who, event)) this.#timeline.note(who, textOf(event), event.atMs)
    switch (event.type) {
      case 'problem':
        return this.#problem(who, event.detail)
      case 'caught-up': {
        const { anchor, totalMs } = event.detail
        this.catchUps.push({ who, anchor: anchor.index, totalMs })
        return
      }
      case 'state': {
        const { state, reason } = event.detail
        if (reason !== undefined) this.#problem(who, reason)
        if (state === 'halted')
          this.#verdicts.broken('everyone gets in sync', `${who} halted: ${reason?.message}`)
        return
      }
      case 'checkpoint':
        if (event.detail.type === 'skipped') this.#problem(who, event.detail.reason)
        return
      case 'divergence':
      case 'disputed':
        return this.#verdicts.broken('one anchor, one content', `${who} tells of ${textOf(event)}`)
    }
  }

  #isRepeated(who: string, { type, detail, atMs }: ProcessEvent): boolean {
    if (type !== 'sync' || !('error' in detail)) return false
    const key = `${who} ${detail.type} ${'peer' in detail ? detail.peer : ''} ${detail.error.name}`
    const lastMs = this.#repeated.get(key) ?? Number.NEGATIVE_INFINITY
    if (atMs - lastMs < REPEATED_MS) return true
    this.#repeated.set(key, atMs)
    return false
  }

  #problem(who: string, error: ErrorSummary): void {
    const { name, message } = error
    const code = codeOf(error)
    this.problems.add(code ?? name)
    if (code === undefined)
      this.#verdicts.broken('always an answer', `${who} told of a ${name}, which has no code: ${message}`)
  }

  async #weigh({ pid }: ReplicaProcess): Promise<void> {
    // It may have ended meanwhile.
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    const kib = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0)
    this.#largestRssBytes = Math.max(this.#largestRssBytes, kib * 1024)
  }
}

/** Whether it belongs into a timeline: not how far a fetch is, nor what each peer was sent. */
function isTelling({ type, detail }: ProcessEvent): boolean {
  if (type !== 'sync') return type !== 'sealed'
  if (detail.type === 'session') return detail.state.status !== 'fetching'
  return !['served', 'revived', 'freed', 'ignored'].includes(detail.type)
}

/** In few characters: of a PeerId its end, and of a position its index. */
function textOf({ type, detail }: ProcessEvent): string {
  const plain = JSON.stringify(detail, (key, value: unknown) => {
    if (key === 'epoch') return undefined
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
    return value instanceof Map ? Object.fromEntries(value) : value
  })
  return `${type} ${plain.replace(/12D3KooW\w+(\w{6})/g, '$1').replaceAll('"', '')}`
}
