import { GROUP_FORMAT } from '../../group/formats.ts'
import type { CatchUpReport } from '../../replica/events.ts'
import { Deeds } from './deeds.ts'
import { inWords } from './event-words.ts'
import { type Invariant, PromiseBroken, type Promised } from './invariant.ts'
import type { SimulatedNode, Told } from './node.ts'
import type { Plan } from './plan.ts'
import { Scene } from './scene.ts'
import type { Note } from './trace.ts'
import type { Workload } from './workload.ts'

/** How a replica got in sync, in milliseconds of virtual time. */
export interface Join {
  readonly node: string
  /** From its process's start, or from when it noticed that it lagged, to in sync. */
  readonly tookMs: number
  /** What its session says, where it needed a snapshot. */
  readonly caughtUp: CatchUpReport
}

/** The promise that a run broke, and when: `atMs` is virtual time, in milliseconds. */
export interface Failure {
  readonly promise: Promised
  readonly message: string
  readonly atMs: number
}

/** What came of a run. */
export interface Outcome {
  /** Of all that happened: two runs with the same hash did the same. */
  readonly hash: string
  /** How long the run took, in milliseconds of virtual time. */
  readonly virtualMs: number
  /** Entries that were committed. */
  readonly entries: number
  /** How replicas got in sync by a snapshot. */
  readonly joins: readonly Join[]
  readonly failure: Failure | undefined
  /** What happened last, by time. Empty unless something failed. */
  readonly timeline: readonly Note[]
}

/** The steps of a plan begin then, in milliseconds of virtual time. The group is there by then, mostly. */
const BEGIN_MS = 2_000
/** How long the group may take to get in sync once all trouble has ended, in milliseconds of virtual time. */
const SETTLE_MS = 90_000
/** In one of so many runs, nobody does anything for a while after that. */
const IDLE_EVERY = 8
/** How long that takes, beside a TTL, in milliseconds of virtual time. */
const IDLE_MS = 4_000
/** How often the operator looks at the group then. */
const ROUND_MS = 500
/** How long a stop may take, in milliseconds of virtual time. */
const STOP_MS = 20_000
/** Notes of each process that a report shows. */
const NOTES_PER_PROCESS = 25
/** More events than this in a run are an endless loop. */
const EVENTS_MAX = 500_000

/** One run: the steps of a plan, done to a group, and the invariants that watch it. */
export class Run {
  readonly #scene: Scene
  readonly #deeds: Deeds
  readonly #invariants: readonly Invariant[]
  readonly #joins: Join[] = []
  #events = 0
  /**
   * What was broken where a throw would be taken for the replica's own error. It is thrown after the event.
   */
  #broken: unknown

  constructor(plan: Plan, workload: Workload, invariants: readonly ((scene: Scene) => Invariant)[]) {
    const scene = new Scene(plan, workload)
    this.#scene = scene
    this.#deeds = new Deeds(scene)
    this.#invariants = invariants.map((make) => make(scene))
    scene.watchBy({
      told: (node, event) => this.#guard(() => this.#heard(node, event)),
      committed: (entry) =>
        this.#guard(() => {
          for (const invariant of this.#invariants) invariant.committed?.(entry)
        }),
    })
  }

  /** Do all of the plan. It does not throw: what was broken is in the outcome. */
  async do(): Promise<Outcome> {
    const { world, plan, history } = this.#scene
    let failure: Failure | undefined
    try {
      for (const node of this.#scene.permanent) node.start()
      await this.until(BEGIN_MS / 2)
      this.#deeds.fill()
      for (const step of plan.steps) {
        await this.until(BEGIN_MS + step.atMs)
        this.#deeds.plan(step)
      }
      await this.until(BEGIN_MS + plan.endMs)
      await this.#settle()
      if (plan.seed % IDLE_EVERY === 0 && this.#isWell()) await this.#idle()
      await this.#end()
    } catch (error) {
      if (!(error instanceof PromiseBroken)) throw error
      failure = { promise: error.promise, message: error.message, atMs: world.nowMs }
    }
    return {
      hash: world.trace.hash,
      virtualMs: world.nowMs,
      entries: history.newest,
      joins: this.#joins,
      failure,
      timeline: failure === undefined ? [] : world.trace.timeline(NOTES_PER_PROCESS),
    }
  }

  /** Let happen what is due by then, and look at the invariants after each thing. */
  async until(atMs: number, done: () => boolean = () => false): Promise<void> {
    // Of what was done since the last event, all comes before the next one.
    await this.#scene.world.rest()
    while (!done() && (await this.#scene.world.step(atMs))) {
      if (++this.#events > EVENTS_MAX) throw new PromiseBroken('bounded', `more than ${EVENTS_MAX} events`)
      if (this.#broken !== undefined) throw this.#broken
      for (const invariant of this.#invariants) invariant.stepped?.()
    }
  }

  /** All trouble ends; the operator looks after what does not get well by itself; then all must be well. */
  async #settle(): Promise<void> {
    this.#deeds.mend()
    this.#scene.world.note('plan', 'all trouble ends')
    const endMs = this.#scene.world.nowMs + SETTLE_MS
    let isWell = false
    while (!isWell && this.#scene.world.nowMs < endMs) {
      this.#deeds.lookAfter()
      await this.until(this.#scene.world.nowMs + ROUND_MS)
      isWell = this.#isWell() || this.#isLost()
    }
    if (!isWell) throw new PromiseBroken('everyone gets in sync', this.#whatIsIll())
    for (const invariant of this.#invariants) invariant.settled?.()
  }

  /** Nobody writes, comes or leaves: what the group still does is done by then. */
  async #idle(): Promise<void> {
    const { world, plan } = this.#scene
    await this.until(world.nowMs + plan.settings.ttlMs + IDLE_MS)
    for (const invariant of this.#invariants) invariant.idle?.()
  }

  async #end(): Promise<void> {
    const { nodes, world } = this.#scene
    const stops = nodes.flatMap((node) => node.stop() ?? [])
    let isOver = false
    void Promise.allSettled(stops).then(() => {
      isOver = true
    })
    await this.until(world.nowMs + STOP_MS, () => isOver)
    const left = nodes.filter(({ running }) => running?.replica !== undefined && !running.isStopped)
    if (left.length > 0)
      throw new PromiseBroken('stop leaves nothing', `${namesOf(left)} did not stop within ${STOP_MS} ms`)
    // What they left behind would happen now.
    await this.until(world.nowMs + STOP_MS)
    for (const invariant of this.#invariants) invariant.ended?.()
  }

  /** Nobody waits for anything, and everybody has the newest entry. */
  #isWell(): boolean {
    const { nodes, permanent, requests, history, log } = this.#scene
    const newest = history.newest
    const ids = nodes.flatMap(({ replica, running }) => (replica && !running?.isStopped ? [replica.id] : []))
    return (
      requests.open.length === 0 &&
      this.#isUpgraded() &&
      new Set(ids).size === ids.length &&
      nodes.every((node) => {
        const { running } = node
        // Joiners may be gone; the others are to be there.
        if (running === undefined || running.isStopped) return !permanent.includes(node)
        const { replica } = running
        const { index, epoch } = replica?.position ?? {}
        return replica?.state === 'in-sync' && index === newest && epoch === log.epoch
      })
    )
  }

  /** Everybody runs the newest version of the program, and the group speaks it. */
  #isUpgraded(): boolean {
    const { history, isRolled, workload } = this.#scene
    if (workload.versions === undefined) return true
    const { signature, format } = history.group.spoken
    return isRolled && signature === workload.machine().signature && format === GROUP_FORMAT
  }

  /**
   * Every replica says that the state is lost, and it may be: an operator, or bad luck, took the last copy.
   */
  #isLost(): boolean {
    const { plan, log, nodes } = this.#scene
    const { settings, troubles, steps } = plan
    const mayBe =
      !settings.durable ||
      log.record.prunes.some(({ by }) => by === 'operator') ||
      steps.some((step) => step.do === 'disk-lies') ||
      troubles.some((trouble) => trouble === 'wipes' || trouble === 'rot' || trouble === 'mistakes')
    const alive = nodes.flatMap(({ running }) =>
      running === undefined || running.isStopped ? [] : [running],
    )
    return mayBe && alive.length > 0 && alive.every(({ replica }) => replica?.state === 'lost')
  }

  #whatIsIll(): string {
    const { nodes, requests, history } = this.#scene
    const newest = history.newest
    const { signature, format } = history.group.spoken
    const old = this.#isUpgraded() ? [] : [`the group speaks ${signature} in format ${format}`]
    const open = requests.open.map(({ life, what }) => `${life.name} still owes an answer to ${what}`)
    const ill = nodes.flatMap((node) => {
      const { name, running, newest: last } = node
      if (running === undefined || running.isStopped) {
        const isDown = this.#scene.permanent.includes(node)
        return isDown ? [`${name} is down (${last?.failure?.name ?? 'no failure'})`] : []
      }
      const { replica } = running
      return replica?.state === 'in-sync' && replica.position.index === newest
        ? []
        : [`${name} is ${replica?.state ?? 'not started'} at ${replica?.position.index} of ${newest}`]
    })
    return `${SETTLE_MS / 1_000} s after all trouble ended, ${[...old, ...ill, ...open.slice(0, 5)].join('; ')}`
  }

  #heard(node: SimulatedNode, event: Told): void {
    this.#scene.world.note(node.running?.life.name ?? node.name, inWords(event))
    if (event.type === 'sync' && event.detail.type === 'session' && event.detail.state.status === 'choosing')
      this.#deeds.caughtUpBegins()
    if (event.type === 'caught-up')
      this.#joins.push({ node: node.name, tookMs: event.detail.totalMs, caughtUp: event.detail })
    for (const invariant of this.#invariants) invariant.told?.(node, event)
  }

  /**
   * A listener's error goes to a warning, and an append's to its writer. It is kept, and thrown after this
   * event.
   */
  #guard(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#broken ??= error
    }
  }
}

function namesOf(nodes: readonly SimulatedNode[]): string {
  return nodes.map(({ name }) => name).join(', ')
}
