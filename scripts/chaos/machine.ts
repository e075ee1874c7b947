import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Cluster, ReplicaProcess, StartOptions } from '../../src/testing/index.ts'
import { ProcessLingered } from '../../src/testing/index.ts'
import { asError } from '../../src/thrown.ts'
import { Directory } from './directory.ts'
import type { Fault } from './fault.ts'
import type { Observer } from './observer.ts'
import { fillDisk, freeDisk, onSmallDisk } from './small-disk.ts'
import { codeOf } from './tally.ts'
import type { Timeline } from './timeline.ts'
import type { Verdicts } from './verdicts.ts'

export interface Surroundings {
  readonly cluster: Cluster
  readonly timeline: Timeline
  readonly verdicts: Verdicts
  readonly observer: Observer
  /** Whether a replica without a state must catch up: the log's beginning is gone. */
  readonly isPruned: () => Promise<boolean>
}

/** How long a replica may be refused to start, for a typed reason, in milliseconds. */
const START_MS = 60_000
const RETRY_MS = 500
/** How long a replica on a full disk may take to be in sync before the disk is filled, in milliseconds. */
const IN_SYNC_MS = 15_000

/** A machine with a replica on it: one process at a time, and a data directory, or none. */
export class Machine {
  readonly name: string
  readonly #around: Surroundings
  readonly #directory: Directory | undefined
  #process: ReplicaProcess | undefined
  /** It began without a state, and nothing but a catch-up can have given it one. */
  #mustCatchUp = false
  #inTurn: Promise<void> = Promise.resolve()

  constructor(name: string, around: Surroundings, hasDisk = true) {
    this.name = name
    this.#around = around
    this.#directory = hasDisk ? new Directory(join(around.cluster.dir, `data-${name}`)) : undefined
  }

  /** The running process; undefined while it is down, or paused. */
  get process(): ReplicaProcess | undefined {
    return this.#process?.running && !this.#process.paused ? this.#process : undefined
  }

  /** Why this replica should have caught up, and has not; undefined if nothing is wrong. */
  get missingCatchUp(): string | undefined {
    if (!this.#mustCatchUp || this.#hasCaughtUp()) return undefined
    return `${this.name} began without a state and is in sync, but told of no catch-up`
  }

  /** Does it when what was begun before is over. Resolves when the replica runs again. */
  async perform(fault: Fault): Promise<void> {
    await this.#queue(() => this.#perform(fault))
  }

  /** Have the replica run. */
  async heal(): Promise<void> {
    await this.#queue(async () => {
      if (this.#process?.paused) this.#process.resume()
      if (!this.#process?.running) await this.#start()
    })
  }

  /** Ask the replica to stop: its process must then end by itself. */
  async stop(): Promise<void> {
    await this.#queue(() => this.#stop())
  }

  async backUp(): Promise<void> {
    await this.#queue(async () => this.#directory?.backUp())
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#inTurn.then(work)
    this.#inTurn = done.catch(() => {})
    return done
  }

  async #perform({ kind, forMs, where }: Fault): Promise<void> {
    const directory = this.#directory
    if (kind === 'pause') return await this.#pause(forMs)
    if (kind === 'stop') await this.#stop()
    else await this.#kill()
    if (directory === undefined || kind === 'kill' || kind === 'stop') {
      await delay(forMs)
      return await this.#start()
    }
    switch (kind) {
      case 'wipe':
        this.#note('its data directory is gone')
        await directory.wipe()
        this.#mustCatchUp = await this.#around.isPruned()
        break
      case 'corrupt':
        this.#note(await directory.corrupt(where))
        return await this.#start({}, () => directory.wipe())
      case 'old-copy':
        this.#note((await directory.restore()) ? 'an old copy of its data directory' : 'there is no copy')
        break
      case 'full-disk':
        return await this.#fillDisk(directory, forMs)
      default:
        throw new RangeError(`${kind} is no fault of a replica`)
    }
    await this.#start()
  }

  async #pause(forMs: number): Promise<void> {
    this.#process?.pause()
    this.#note('paused')
    await delay(forMs)
    this.#process?.resume()
    this.#note('resumed')
  }

  /** A life on another disk, which is full after a while, and then has room again. */
  async #fillDisk(directory: Directory, forMs: number): Promise<void> {
    const small = new Directory(`${directory.path}.small`)
    await small.make()
    await this.#start({ dataDir: small.path, runUnder: onSmallDisk(small.path) })
    const process = this.#process
    if (process === undefined || !process.running) return
    await Promise.race([process.inSync().catch(() => {}), delay(IN_SYNC_MS)])
    await fillDisk(process.pid, small.path)
    this.#note('its disk is full')
    await delay(forMs)
    if (process.running) await freeDisk(process.pid, small.path)
    this.#note('its disk has room again')
    await this.#stop()
    await this.#start()
  }

  async #kill(): Promise<void> {
    await this.#process?.kill()
    this.#carryOver()
    this.#note('killed')
  }

  async #stop(): Promise<void> {
    const process = this.#process
    if (!process?.running) return
    this.#note('is asked to stop')
    try {
      await process.stop()
      this.#note('stopped')
    } catch (error) {
      const { name, message } = asError(error)
      this.#note(`did not stop well: ${message}`)
      // What a replica could not do on its way out is told; that its process ends is promised.
      const hasCode = codeOf({ name, message }) !== undefined && !(error instanceof ProcessLingered)
      const isTold = hasCode && name !== 'ProcessEnded'
      if (!isTold) this.#around.verdicts.broken('stop leaves nothing', message)
    }
    this.#carryOver()
  }

  /**
   * Start the process, again and again where it is refused. `mend` is what an operator does who was told why.
   */
  async #start(options: StartOptions = {}, mend?: () => Promise<void>): Promise<void> {
    const { cluster, observer, verdicts } = this.#around
    const lastMs = Date.now() + START_MS
    const own = this.#directory === undefined ? { volatile: true } : { dataDir: this.#directory.path }
    for (;;) {
      try {
        this.#process = await cluster.start({ ...own, ...options, name: this.name })
        observer.watch(this.#process)
        return this.#note(`started as ${this.#process.id.slice(-6)}, process ${this.#process.pid}`)
      } catch (error) {
        const { name, message } = asError(error)
        this.#note(`could not start: ${message}`)
        const code = codeOf({ name, message })
        observer.problems.add(code ?? name)
        if (code === undefined)
          verdicts.broken('always an answer', `${this.name} could not start, without a code: ${message}`)
        if (Date.now() > lastMs)
          return verdicts.broken('everyone gets in sync', `${this.name} could not start: ${message}`)
        if (mend !== undefined) {
          await mend()
          this.#note('its data directory was removed, as it was told')
        }
      }
      await delay(RETRY_MS)
    }
  }

  /** What the next life must do depends on what the last one did. */
  #carryOver(): void {
    if (this.#hasCaughtUp()) this.#mustCatchUp = false
  }

  #hasCaughtUp(): boolean {
    return this.#process?.events.some(({ type }) => type === 'caught-up') ?? false
  }

  #note(what: string): void {
    this.#around.timeline.note(this.name, what)
  }
}
