import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { GROUP_FORMAT } from '../../group/formats.ts'
import type { StateMachine } from '../../machine/machine.ts'
import type { ReplicaEvents } from '../../replica/events.ts'
import type { ReplicaInit } from '../../replica/init.ts'
import type { Replica } from '../../replica/replica.ts'
import { createReplicaOn } from '../../replica/start.ts'
import { asError } from '../../thrown.ts'
import { syncCoder } from './coder.ts'
import type { SimulatedDisk } from './disk.ts'
import { keyAt, keyBytes } from './keys.ts'
import { Life } from './life.ts'
import { LifeClock } from './life-clock.ts'
import type { SimulatedLog } from './log.ts'
import type { SimulatedNetwork } from './network.ts'
import type { Program } from './workload.ts'
import { BEGAN_MS, type World } from './world.ts'

const EVENTS = [
  'state',
  'leader',
  'sync',
  'sealed',
  'caught-up',
  'disputed',
  'divergence',
  'log',
  'upgraded',
  'pruned',
  'checkpoint',
  'skipped',
  'problem',
] as const satisfies (keyof ReplicaEvents)[]

const DATA_DIR = '/data'

/** An event of a replica, as its application hears it. */
export type Told = {
  [Type in keyof ReplicaEvents]: { readonly type: Type; readonly detail: ReplicaEvents[Type]['detail'] }
}[keyof ReplicaEvents]

/** Where the nodes of a run are. */
export interface Surroundings {
  readonly world: World
  readonly network: SimulatedNetwork
  readonly log: SimulatedLog
  /** Each process that was ever started, by the name of its life. */
  readonly lives: Map<string, Running>
}

export interface NodeInit {
  readonly name: string
  readonly disk: SimulatedDisk
  readonly surroundings: Surroundings
  /** The versions of the program that it may run, the oldest first. */
  readonly programs: readonly Program[]
  /** The one that it begins with. */
  readonly program: number
  /** How its replicas are made, beside what is of the node. */
  readonly options: Omit<ReplicaInit<unknown>, 'machine' | 'log' | 'clock' | 'random' | 'dataDir'>
  /** Its state is kept on its disk. Otherwise it is in memory only. */
  readonly durable: boolean
  /** How fast its monotonic clock goes. 1 is right. */
  readonly rate: number
  /** What a look at the clock costs its process, in milliseconds. */
  readonly lookMs: number
  /** How far its wall clock is ahead of the world's, in milliseconds. */
  readonly wallAheadMs: number
  /** The number of its identity. A wiped disk gets another. */
  readonly nextKey: () => number
  readonly onEvent: (node: SimulatedNode, event: Told) => void
}

/** The versions that a process speaks. */
export interface Speaks {
  readonly signatures: readonly string[]
  /** The newest format of the group's state. */
  readonly format: number
}

/** Whether a process speaks that. */
export function speaks(
  { speaks: { signatures, format } }: Pick<Running, 'speaks'>,
  wanted: { readonly signature: string; readonly format: number },
): boolean {
  return signatures.includes(wanted.signature) && wanted.format <= format
}

/** One process of a replica on a node, from its start to its end. */
export interface Running {
  readonly life: Life
  /** The version of the program, by number. */
  readonly program: number
  /** What the process speaks. */
  readonly speaks: Speaks
  readonly machine: StateMachine
  /** Undefined until `createReplica` has resolved. */
  replica: Replica<unknown> | undefined
  /** Why `createReplica` rejected. */
  failure: Error | undefined
  /** Why it halted. */
  halted: Error | undefined
  /** True from the call of `stop()` on. */
  isStopping: boolean
  /** `stop()` has resolved. */
  isStopped: boolean
  /** The commands that its machine has submitted. */
  readonly submitted: Uint8Array[]
}

/** A machine: it has a name, a disk and a wall clock, and runs one process of a replica at a time. */
export class SimulatedNode {
  readonly name: string
  readonly disk: SimulatedDisk
  readonly #init: NodeInit
  #key: number
  #program: number
  #wallAheadMs: number
  #wallSetAtMs = Number.NEGATIVE_INFINITY
  #lives = 0
  #running: Running | undefined

  constructor(init: NodeInit) {
    this.name = init.name
    this.disk = init.disk
    this.#init = init
    this.#wallAheadMs = init.wallAheadMs
    this.#key = init.nextKey()
    this.#program = init.program
    this.#provision()
  }

  /** The process that runs, or that failed to start, or that was stopped; undefined after a crash. */
  get running(): Running | undefined {
    return this.#running?.life.isAlive ? this.#running : undefined
  }

  get replica(): Replica<unknown> | undefined {
    return this.running?.replica
  }

  /** The process that was started last, unless it was killed, also if it did not start. */
  get newest(): Running | undefined {
    return this.#running
  }

  /** Which version of the program its next process runs, by number. */
  get program(): number {
    return this.#program
  }

  /** Another version of the program is installed. A process that runs is still of the one before. */
  install(program: number): void {
    this.#program = program
  }

  get isDurable(): boolean {
    return this.#init.durable
  }

  wallMs(): number {
    return BEGAN_MS + this.#init.surroundings.world.nowMs + this.#wallAheadMs
  }

  /** When its wall clock was last set, by the world's time. */
  get wallSetAtMs(): number {
    return this.#wallSetAtMs
  }

  /** Somebody, or NTP, sets its wall clock. */
  stepWall(byMs: number): void {
    this.#wallAheadMs += byMs
    this.#wallSetAtMs = this.#init.surroundings.world.nowMs
  }

  /** Start a process of a replica. Does nothing where one runs. */
  start(options: Partial<ReplicaInit<unknown>> = {}): void {
    if (this.running !== undefined && !this.running.isStopped) return
    this.running?.life.kill()
    const { surroundings, durable, rate, lookMs } = this.#init
    const { world, network, log, lives } = surroundings
    const life = new Life(world, `${this.name}#${++this.#lives}`)
    const clock = new LifeClock(life, { rate, lookMs, wallMs: () => this.wallMs() })
    const program = this.#init.programs[this.#program]!
    const machine = program.machine()
    const running: Running = {
      life,
      program: this.#program,
      speaks: spokenBy(program, machine),
      machine,
      replica: undefined,
      failure: undefined,
      halted: undefined,
      isStopping: false,
      isStopped: false,
      submitted: [],
    }
    noteSubmits(machine, running.submitted)
    this.#running = running
    lives.set(life.name, running)
    world.note(life.name, 'starts')
    const chance = world.chance(`replica/${life.name}`)
    createReplicaOn(
      {
        network: (key) => network.join(life, peerIdFromPrivateKey(key).toString(), this.name),
        storage: this.disk.storageFor(life),
        processName: life.name,
        coder: syncCoder,
        ...(program.format !== undefined && { format: program.format }),
      },
      {
        ...this.#init.options,
        ...options,
        machine,
        clock,
        random: chance.next,
        logger: false,
        log: log.backendFor(life, this.name),
        ...(durable ? { dataDir: DATA_DIR } : { privateKey: keyAt(this.#key) }),
      },
    ).then(
      (replica) => {
        running.replica = replica
        this.#listen(replica, running)
      },
      (error) => {
        running.failure = asError(error)
        world.note(life.name, `does not start: ${running.failure.name}`)
        life.kill()
      },
    )
  }

  /** Ask the replica to stop, as a service does that is told to end. */
  stop(): Promise<void> | undefined {
    const running = this.running
    if (running?.replica === undefined || running.isStopping) return undefined
    running.isStopping = true
    return running.replica.stop().then(() => {
      running.isStopped = true
    })
  }

  /** The process ends at once, as by SIGKILL, or already has. */
  kill(): void {
    this.running?.life.kill()
    this.#running = undefined
  }

  /** The disk is empty now. The next process on this node is a new replica. */
  wipe(): void {
    this.kill()
    this.disk.wipe()
    this.#key = this.#init.nextKey()
    this.#provision()
  }

  #provision(): void {
    if (this.#init.durable) this.disk.provision(`${DATA_DIR}/identity.key`, keyBytes(this.#key))
  }

  #listen(replica: Replica<unknown>, running: Running): void {
    replica.addEventListener('state', ({ detail: { state, reason } }) => {
      if (state === 'halted') running.halted = reason
    })
    for (const type of EVENTS)
      replica.addEventListener(type, ({ detail }) => {
        this.#init.onEvent(this, { type, detail } as Told)
      })
  }
}

/** What a process of a program speaks. */
export function spokenBy({ format = GROUP_FORMAT }: Program, machine: StateMachine): Speaks {
  return { signatures: [machine.signature, ...(machine.older ?? [])], format }
}

/** Take note of what a machine submits: only the log says what became of it. */
function noteSubmits(machine: StateMachine, submitted: Uint8Array[]): void {
  const attach = machine.attach?.bind(machine)
  if (attach === undefined) return
  machine.attach = (host) =>
    attach({
      submit(command, options) {
        submitted.push(command)
        return host.submit(command, options)
      },
      assertReadable: () => host.assertReadable(),
    })
}
