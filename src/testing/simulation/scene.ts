import type { StateMachine } from '../../machine/machine.ts'
import type { Chance } from './chance.ts'
import { SimulatedDisk } from './disk.ts'
import { type RecordedEntry, SimulatedLog } from './log.ts'
import { SimulatedNetwork } from './network.ts'
import { type Running, SimulatedNode, type Told } from './node.ts'
import { History } from './oracle/history.ts'
import { NODES_MAX, type Plan } from './plan.ts'
import { Requests } from './requests.ts'
import { modelOf, programsOf, type Workload } from './workload.ts'
import { BEGAN_MS, World } from './world.ts'

const NAMES = 'abcdefghijklmnopqrstuvwxyz'

/** Is told of what happens in a scene. It must not throw. */
export interface Watcher {
  told(node: SimulatedNode, event: Told): void
  committed(entry: RecordedEntry): void
}

/** The parts of one simulated group, and what an outsider who sees all of it knows. */
export class Scene {
  readonly plan: Plan
  readonly workload: Workload
  readonly world: World
  readonly network: SimulatedNetwork
  readonly log: SimulatedLog
  /** What the log says a replica must hold. */
  readonly history: History<StateMachine>
  readonly requests: Requests
  /** Each process that was ever started, by the name of its life. */
  readonly lives = new Map<string, Running>()
  /** Those that are no members, and were told something. */
  readonly intruders: string[] = []
  /** All machines: those of the plan's replicas, and then those of joiners. */
  readonly nodes: readonly SimulatedNode[]
  #watcher: Watcher | undefined
  #keys = 0

  constructor(plan: Plan, workload: Workload) {
    this.plan = plan
    this.workload = workload
    const { settings, seed } = plan
    this.world = new World(seed)
    this.network = new SimulatedNetwork(this.world)
    const { latencyMs, jitterMs, bytesPerSecond } = settings
    this.network.setQuality({ latencyMs, jitterMs, bytesPerSecond })
    this.log = new SimulatedLog(this.world, {
      kind: settings.log,
      epoch: 'epoch-1',
      stampBy: (name) => this.nodeNamed(name)?.wallMs() ?? BEGAN_MS + this.world.nowMs,
    })
    const { signature } = workload.machine()
    this.history = new History(this.log.epoch, () => modelOf(workload), signature)
    this.requests = new Requests(this.world)
    const chance = this.world.chance('nodes')
    this.nodes = Array.from({ length: NODES_MAX }, (_, n) => this.#makeNode(n, chance))
    this.log.record.onEntry((entry) => {
      this.history.add(entry)
      this.#watcher?.committed(entry)
    })
    this.log.record.onBound((signature) => this.history.bind(signature))
    this.log.record.onRewind(({ to }) => this.history.rewind(to))
    this.log.record.onRecreate((epoch) => this.history.recreate(epoch))
  }

  /** The machines whose replicas are there from the start, and are started again when they end. */
  get permanent(): readonly SimulatedNode[] {
    return this.nodes.slice(0, this.plan.settings.replicas)
  }

  /** The newest version of the program, by number. */
  get newest(): number {
    return programsOf(this.workload).length - 1
  }

  /** Every process that runs is of the newest version of the program. */
  get isRolled(): boolean {
    return this.nodes.every(
      ({ running }) => running === undefined || running.isStopped || running.program === this.newest,
    )
  }

  nodeNamed(name: string): SimulatedNode | undefined {
    return this.nodes.find((node) => node.name === name)
  }

  /** The number of an identity that nobody has yet. */
  nextKey(): number {
    return this.#keys++
  }

  watchBy(watcher: Watcher): void {
    this.#watcher = watcher
  }

  #makeNode(n: number, chance: Chance): SimulatedNode {
    const name = NAMES[n]!
    const { settings, programs = [] } = this.plan
    const { durable, drift, lookMs, diskMs, keepEntries, checkpointEvery } = settings
    const disk = new SimulatedDisk(this.world, name)
    disk.setLatency(diskMs)
    const { leaseMs, ttlMs, requestTimeoutMs, fetchTimeoutMs, snapshotAfter, upgradeAfterMs } = settings
    return new SimulatedNode({
      name,
      disk,
      durable,
      lookMs,
      surroundings: this,
      programs: programsOf(this.workload),
      program: programs[n] ?? 0,
      options: {
        group: 'simulated',
        volatile: !durable,
        chunkBytes: this.workload.chunkBytes ?? 1_024,
        ...{ leaseMs, ttlMs, requestTimeoutMs, fetchTimeoutMs, snapshotAfter },
        ...(upgradeAfterMs !== undefined && {
          upgrade: upgradeAfterMs === 'manual' ? upgradeAfterMs : { afterMs: upgradeAfterMs },
        }),
        ...(keepEntries !== undefined && { prune: { keepEntries } }),
        ...(durable && { checkpoint: { everyCommands: checkpointEvery } }),
      },
      rate: 1 + drift * (2 * chance.next() - 1),
      wallAheadMs: chance.integer(-500, 500),
      nextKey: () => this.nextKey(),
      onEvent: (node, event) => this.#watcher?.told(node, event),
    })
  }
}
