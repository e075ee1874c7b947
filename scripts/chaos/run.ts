import { setTimeout as delay } from 'node:timers/promises'
import { LogTruncated } from '../../src/log/errors.ts'
import { type Cluster, startCluster } from '../../src/testing/index.ts'
import { chanceOf } from '../../src/testing/simulation/chance.ts'
import { asError } from '../../src/thrown.ts'
import { Checks } from './checks.ts'
import type { Fault } from './fault.ts'
import { Ledger } from './ledger.ts'
import { LogReader } from './log-reader.ts'
import { Machine, type Surroundings } from './machine.ts'
import { Observer } from './observer.ts'
import type { ChaosOptions } from './options.ts'
import { type Place, placeFor } from './place.ts'
import { type ChaosReport, timesOf } from './report.ts'
import { Schedule } from './schedule.ts'
import { canMountDisks } from './small-disk.ts'
import { Tally } from './tally.ts'
import { Timeline } from './timeline.ts'
import { Verdicts } from './verdicts.ts'
import { Writers } from './writers.ts'

/** Lags, catch-ups, checkpoints and prunes come often with these, and what is waited for is short. */
const REPLICA_OPTIONS = {
  ttlMs: 5_000,
  requestTimeoutMs: 10_000,
  fetchTimeoutMs: 3_000,
  chunkBytes: 16_384,
  snapshotAfter: 1_000,
  checkpoint: { everyCommands: 400 },
  prune: { keepEntries: 500 },
}
/** Elections among NATS servers, and PostgreSQL's start after a kill, take seconds. */
const LEASE_MS = { sqlite: 2_000, nats: 4_000, postgres: 4_000 }
const WRITERS = 8
/** A copy of each data directory is made after every so many rounds. */
const BACKUP_ROUNDS = 2

/** Is told how far the run is. */
export interface Progress {
  round(round: number, what: string): void
  /** Something happened, in a line: every fault, and what replicas tell. */
  event(line: string): void
}

/** One run: rounds of faults, and checks after each. */
export class Run {
  readonly #options: ChaosOptions
  readonly #progress: Progress
  readonly #signal: AbortSignal
  readonly #timeline: Timeline
  readonly #verdicts: Verdicts
  readonly #faults = new Tally()
  readonly #ledger = new Ledger()
  readonly #settling: number[] = []
  readonly #beganMs = performance.now()
  #rounds = 0

  constructor(options: ChaosOptions, progress: Progress, signal: AbortSignal) {
    this.#options = options
    this.#progress = progress
    this.#signal = signal
    this.#timeline = new Timeline((line) => progress.event(line))
    this.#verdicts = new Verdicts(this.#timeline)
  }

  async run(): Promise<ChaosReport> {
    const { log, replicas, seed } = this.#options
    const disks = canMountDisks()
    await using place = await placeFor(log, this.#timeline)
    const schedule = new Schedule({ seed, log, replicas, servers: place.servers, disks })
    const cluster = await startCluster({
      replicas: 0,
      group: 'chaos',
      program: new URL('./program.ts', import.meta.url),
      options: { ...REPLICA_OPTIONS, leaseMs: LEASE_MS[log] },
      ...(place.log !== undefined && { log: place.log }),
    })
    let scene: Scene
    try {
      scene = await this.#open(cluster, place)
      await this.#go(scene, schedule)
    } finally {
      await this.#close(cluster)
    }
    return this.#report(scene, disks ? [] : ['full-disk: this machine lets nobody mount a disk'])
  }

  async #open(cluster: Cluster, place: Place): Promise<Scene> {
    const reader = await LogReader.open(cluster.log, cluster, this.#ledger)
    const observer = new Observer(this.#timeline, this.#verdicts)
    const isPruned = async () => (await reader.bounds()).first > 1
    const around = { cluster, timeline: this.#timeline, verdicts: this.#verdicts, observer, isPruned }
    const names = Array.from({ length: this.#options.replicas }, (_, n) => String.fromCodePoint(97 + n))
    const machines = names.map((name) => new Machine(name, around))
    const takers = () => machines.flatMap(({ process }) => process ?? [])
    const writers = new Writers(WRITERS, takers, chanceOf(this.#options.seed, 'writers'), this.#verdicts)
    const { verdicts, ledger } = { verdicts: this.#verdicts, ledger: this.#ledger }
    const checks = new Checks({ cluster, machines, ledger, reader, observer, writers, verdicts })
    return { around, place, reader, observer, machines, writers, checks }
  }

  async #go(scene: Scene, schedule: Schedule): Promise<void> {
    const { machines, writers, reader, observer } = scene
    const { minutes, rounds } = this.#options
    try {
      await Promise.all(machines.map((machine) => machine.heal()))
      await scene.checks.everyoneInSync()
      const endMs = this.#beganMs + minutes * 60_000
      const goesOn = () => reader.failure === undefined && !this.#signal.aborted
      while (this.#rounds < rounds && performance.now() < endMs && goesOn()) {
        this.#verdicts.roundBegins(++this.#rounds)
        await this.#round(scene, schedule.round(this.#rounds))
      }
      if (reader.failure !== undefined) this.#lost(reader.failure)
    } finally {
      writers.stop()
      await Promise.all(machines.map((machine) => machine.stop()))
      await writers.stopped()
      await observer.look()
      observer[Symbol.dispose]()
      await reader[Symbol.asyncDispose]()
    }
  }

  async #round(scene: Scene, faults: readonly Fault[]): Promise<void> {
    const { machines, writers, observer, checks, place } = scene
    this.#timeline.note('chaos', `round ${this.#rounds}: ${faults.map(({ kind }) => kind).join(', ')}`)
    writers.resume()
    const first = machines.find(({ process }) => process !== undefined)?.process
    if (first !== undefined) writers.fill(first)
    await Promise.all(faults.map((fault) => this.#perform(scene, fault)))
    await place.heal()
    await Promise.all(machines.map((machine) => machine.heal()))
    this.#timeline.note('chaos', 'the faults have ended')
    const settledMs = await checks.everyoneInSync()
    if (settledMs !== undefined) {
      this.#settling.push(settledMs)
      await checks.all()
    }
    if (this.#rounds % BACKUP_ROUNDS === 1) await Promise.all(machines.map((machine) => machine.backUp()))
    const counts = `${writers.acknowledged} writes, ${observer.catchUps.length} catch-ups`
    this.#progress.round(this.#rounds, `${faults.length} faults, ${counts}, ${this.#verdicts.count} broken`)
  }

  /** What the log's reader tells is not known of any write from then on. */
  #lost(failure: Error): void {
    // The fault is of this script: it was too slow for what was pruned.
    if (failure instanceof LogTruncated) throw failure
    const promise = 'acknowledged writes are there once'
    this.#verdicts.broken(promise, `the log cannot be read any more: ${failure.message}`)
  }

  async #perform(scene: Scene, fault: Fault): Promise<void> {
    const { machines, place, around } = scene
    await delay(fault.atMs)
    this.#faults.add(fault.kind)
    switch (fault.kind) {
      case 'kill-all':
        await Promise.all(machines.map((machine) => machine.perform({ ...fault, kind: 'kill' })))
        return
      case 'join':
        return await this.#join(around, fault)
      case 'lock-log':
      case 'kill-server':
      case 'pause-server':
      case 'kill-all-servers':
      case 'promote-server':
        return await place.perform(fault, around.cluster.logPath)
      default:
        return await machines[fault.target]!.perform(fault)
    }
  }

  /** Somebody without a disk, who leaves again. */
  async #join(around: Surroundings, { target, forMs }: Fault): Promise<void> {
    const joiner = new Machine(`joiner-${this.#rounds}-${target}`, around, false)
    await joiner.heal()
    const process = joiner.process
    await Promise.race([process?.inSync().catch(() => {}), delay(forMs * 2)])
    await joiner.stop()
  }

  /** Nothing may be left of the processes. */
  async #close(cluster: Cluster): Promise<void> {
    await cluster.stop().catch((error: unknown) => {
      const { message } = asError(error)
      // Who ended by itself was found out before.
      if (this.#verdicts.count === 0) this.#verdicts.broken('stop leaves nothing', message)
    })
  }

  #report({ writers, observer, checks }: Scene, leftOut: readonly string[]): ChaosReport {
    const { seed, log, replicas } = this.#options
    return {
      seed,
      log,
      replicas,
      rounds: this.#rounds,
      tookMs: performance.now() - this.#beganMs,
      faults: this.#faults.counts,
      writes: { acknowledged: writers.acknowledged, errors: writers.errors.counts },
      catchUps: timesOf(observer.catchUps.map(({ totalMs }) => totalMs)),
      settling: timesOf(this.#settling),
      length: { entries: this.#ledger.newest, largest: checks.largestLog },
      markersAMinute: this.#ledger.markersAMinute,
      largestRssBytes: observer.largestRssBytes,
      problems: observer.problems.counts,
      leftOut,
      broken: this.#verdicts.all,
      brokenCount: this.#verdicts.count,
    }
  }
}

/** The parts of a run. */
interface Scene {
  readonly around: Surroundings
  readonly place: Place
  readonly reader: LogReader
  readonly observer: Observer
  readonly machines: readonly Machine[]
  readonly writers: Writers
  readonly checks: Checks
}
