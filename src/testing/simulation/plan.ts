import type { Chance } from './chance.ts'
import { drawPrograms, drawRolls, drawUpgrade } from './rolls.ts'
import type { Settings, Step } from './step.ts'

export type { Settings, Step } from './step.ts'

/** A kind of trouble. A run has some of them; which ones, its seed says. */
export const TROUBLES = [
  /** Processes stand still for a while. */
  'pauses',
  /** Processes end at any of their calls, and start again. */
  'crashes',
  /** Processes are stopped as a service is, and start again. */
  'restarts',
  /** Machines lose their power. */
  'power',
  /** Disks are wiped. */
  'wipes',
  /** New replicas come, and leave. */
  'churn',
  /** Links are cut, one way or both, and connections break. */
  'partitions',
  /** Links are slow, and peers silent. */
  'slowness',
  /** The log cannot be reached, refuses, or loses requests and acknowledgements. */
  'log',
  /** Wall clocks are set. */
  'clocks',
  /** Disks are full, or take or give nothing. */
  'disks',
  /** Files rot. */
  'rot',
  /** An operator prunes the log, whatever the group says. */
  'pruning',
  /** The presence store loses what it has. */
  'presences',
  /** Members lie about their chunks, or ask for what they do not need. */
  'hostility',
  /** The log is put back, or made anew; directories are of another node, or old. */
  'mistakes',
  /** Programs are replaced by newer versions, and by older ones. Only where the workload has several. */
  'versions',
] as const

/** A kind of trouble that a simulation makes. */
export type Trouble = (typeof TROUBLES)[number]

/** A whole run, from which it can be repeated. */
export interface Plan {
  /** What all chance in the run follows from. */
  readonly seed: number
  /** What it is made of beside its steps. */
  readonly settings: Settings
  /** The kinds of trouble that were drawn for it. */
  readonly troubles: readonly Trouble[]
  /** What is done, by time. */
  readonly steps: readonly Step[]
  /** Which version of the program each node begins with, by number. Default: the oldest. */
  readonly programs?: readonly number[]
  /** The trouble ends then, and the group has to get in sync, in milliseconds of virtual time. */
  readonly endMs: number
}

/** What a run of a simulation is made of. The rest follows from the seed. */
export interface PlanOptions {
  /** Kinds of trouble to choose from. Default: all. */
  readonly troubles?: readonly Trouble[]
  /** How likely each of these is in a run, from 0 to 1. Default: 0.15, 0.3 or 0.5, as the seed says. */
  readonly odds?: number
  /** How long the trouble lasts, in milliseconds of virtual time. Default 12,000. */
  readonly durationMs?: number
  /** Steps of a run. Default 30. */
  readonly steps?: number
  /** Settings that are given. Default for each of the others: as the seed says. */
  readonly settings?: Partial<Settings>
}

/** The most nodes that a run has: those from the start, and those that join. */
export const NODES_MAX = 7

/** @param versions how many versions the program has */
export function drawPlan(chance: Chance, seed: number, options: PlanOptions = {}, versions = 1): Plan {
  const { durationMs = 12_000, steps: count = 30, troubles: wanted = TROUBLES } = options
  const from = wanted.filter(isDrawn)
  const upgrade = versions > 1 ? drawUpgrade(chance.fork('upgrade')) : {}
  const settings = { ...drawSettings(chance.fork('settings')), ...upgrade, ...options.settings }
  const choosing = chance.fork('troubles')
  // A few kinds at once: with all of them in each run, no group would get far enough to be interesting.
  const odds = options.odds ?? choosing.pick([0.15, 0.3, 0.5])
  const drawn = from.filter((trouble) =>
    choosing.happens(trouble === 'mistakes' && options.odds === undefined ? odds / 3 : odds),
  )
  const drawing = chance.fork('steps')
  const drawers = drawn.flatMap((trouble) => DRAWERS[trouble])
  const steps: Step[] = []
  for (let n = 0; n < count; n++) {
    const atMs = drawing.integer(0, durationMs)
    const isEveryday = drawers.length === 0 || drawing.happens(0.6)
    const draw = drawing.pick(isEveryday ? EVERYDAY : drawers)
    // Most of what is worth breaking goes on while somebody catches up, which is a small part of the time.
    const deed = draw(drawing, settings)
    // A hostile member has to be there before.
    const mayWait = !isEveryday && deed.do !== 'hostile'
    const when = mayWait && drawing.happens(0.4) ? ({ during: 'catch-up' } as const) : {}
    steps.push({ atMs, ...when, ...deed } as Step)
  }
  const rolling = chance.fork('versions')
  const programs = drawPrograms(rolling, { nodes: NODES_MAX, versions })
  const isMixed = versions > 1 && wanted.includes('versions')
  const troubles: Trouble[] = isMixed ? [...drawn, 'versions'] : drawn
  if (isMixed) {
    steps.push(...drawRolls(rolling, { settings, versions, programs, durationMs }))
  }
  steps.sort((a, b) => a.atMs - b.atMs)
  return { seed, settings, troubles, steps, endMs: durationMs, ...(versions > 1 && { programs }) }
}

function drawSettings(chance: Chance): Settings {
  const durable = chance.happens(0.7)
  return {
    replicas: chance.pick([3, 3, 3, 4, 5]),
    log: chance.pick(['local', 'service']),
    durable,
    leaseMs: chance.pick([1_000, 1_500, 5_000]),
    ttlMs: chance.pick([2_000, 5_000, 10_000]),
    requestTimeoutMs: chance.pick([3_000, 5_000, 15_000]),
    fetchTimeoutMs: chance.pick([1_000, 2_000, 5_000]),
    keepEntries: chance.pick([undefined, 0, 0, 5, 20]),
    snapshotAfter: chance.pick([5, 20, 100_000]),
    checkpointEvery: chance.pick([5, 20, 100]),
    latencyMs: chance.pick([0.5, 5, 50]),
    jitterMs: chance.pick([0, 2, 30]),
    bytesPerSecond: chance.pick([Number.POSITIVE_INFINITY, 1_000_000, 100_000]),
    diskMs: chance.pick([0, 0, 1, 20]),
    lookMs: chance.pick([0, 0, 0.02]),
    drift: chance.pick([0, 0.001, 0.02]),
  }
}

/** A step without its time. `Omit` of a union would lose what tells its members apart. */
type Deed = Step extends infer One ? (One extends Step ? Omit<One, 'atMs' | 'during'> : never) : never
type Drawer = (chance: Chance, settings: Settings) => Deed

const anyNode = (chance: Chance) => chance.integer(0, NODES_MAX - 1)
const first = (chance: Chance, { replicas }: Settings) => chance.integer(0, replicas - 1)
/** Mostly short, sometimes longer than a lease and a TTL. */
const aWhile = (chance: Chance) => chance.pick([50, 500, 2_000, 8_000])

const EVERYDAY: readonly Drawer[] = [
  (chance, settings) => ({ do: 'write', node: first(chance, settings), count: chance.integer(1, 5) }),
  (chance, settings) => ({ do: 'write', node: first(chance, settings), count: chance.integer(1, 5) }),
  (chance, settings) => ({ do: 'write', node: first(chance, settings), count: chance.pick([1, 10, 30]) }),
  (chance) => ({ do: chance.pick(['mark', 'barrier', 'prune', 'prune']), node: anyNode(chance) }),
  // Nothing is broken while nobody catches up.
  join,
  join,
]

function join(chance: Chance, { replicas }: Settings): Deed {
  const node = chance.integer(Math.min(replicas, NODES_MAX - 1), NODES_MAX - 1)
  return { do: 'join', node, forMs: chance.pick([300, 1_000, 3_000, 10_000]) }
}

/** Steps with versions are drawn apart from the others, since they belong together. */
type DrawnTrouble = Exclude<Trouble, 'versions'>

function isDrawn(trouble: Trouble): trouble is DrawnTrouble {
  return trouble !== 'versions'
}

const DRAWERS: Readonly<Record<DrawnTrouble, readonly Drawer[]>> = {
  pauses: [(chance) => ({ do: 'pause', node: anyNode(chance), forMs: aWhile(chance) })],
  crashes: [
    (chance) => ({
      do: 'crash',
      node: anyNode(chance),
      calls: chance.pick([0, chance.integer(1, 10), chance.integer(1, 200)]),
      power: false,
      forMs: aWhile(chance),
    }),
  ],
  power: [
    (chance) => ({
      do: 'crash',
      node: anyNode(chance),
      calls: chance.pick([0, chance.integer(1, 10), chance.integer(1, 200)]),
      power: true,
      forMs: aWhile(chance),
    }),
    // Without a loss of power, a lie about flushes is none.
    (chance) => ({ do: 'disk-lies', node: anyNode(chance), forMs: aWhile(chance) }),
  ],
  restarts: [(chance) => ({ do: 'restart', node: anyNode(chance), forMs: aWhile(chance) })],
  wipes: [(chance, settings) => ({ do: 'wipe', node: first(chance, settings), forMs: aWhile(chance) })],
  churn: [join],
  partitions: [
    (chance) => ({ do: 'cut', from: anyNode(chance), to: anyNode(chance), forMs: aWhile(chance) }),
    (chance) => ({ do: 'isolate', node: anyNode(chance), forMs: aWhile(chance) }),
    (chance) => ({ do: 'disconnect', from: anyNode(chance), to: anyNode(chance) }),
  ],
  slowness: [
    (chance) => ({ do: 'silence', node: anyNode(chance), forMs: aWhile(chance) }),
    (chance) => ({
      do: 'slow',
      node: anyNode(chance),
      latencyMs: chance.pick([1, 100, 700]),
      bytesPerSecond: chance.pick([5_000, 50_000, 1_000_000]),
      forMs: aWhile(chance),
    }),
  ],
  log: [
    (chance) => ({
      do: 'log-away',
      node: chance.happens(0.5) ? 'all' : anyNode(chance),
      forMs: aWhile(chance),
    }),
    (chance) => ({
      do: chance.pick(['log-refuse', 'log-lose-acks', 'log-lose-requests', 'log-tear']),
      count: chance.integer(1, 3),
    }),
    (chance) => ({
      do: 'log-slow',
      node: anyNode(chance),
      delayMs: chance.pick([20, 300, 2_000]),
      forMs: aWhile(chance),
    }),
  ],
  clocks: [
    (chance) => ({
      do: 'step-wall',
      node: chance.happens(0.3) ? 'log' : anyNode(chance),
      byMs: chance.pick([-3_600_000, -5_000, -300, 300, 5_000, 3_600_000, 40 * 86_400_000]),
    }),
  ],
  disks: [
    (chance) => ({
      do: chance.pick(['disk-full', 'disk-read-only', 'disk-fails']),
      node: anyNode(chance),
      forMs: aWhile(chance),
    }),
  ],
  rot: [(chance) => ({ do: 'rot', node: anyNode(chance), forMs: chance.pick([undefined, 0, 500, 2_000]) })],
  pruning: [(chance) => ({ do: 'operator-prune', keep: chance.pick([0, 3, 20]) })],
  presences: [
    () => ({ do: 'lose-presences' }),
    (chance) => ({ do: 'freeze-presences', node: anyNode(chance), forMs: aWhile(chance) }),
  ],
  hostility: [
    (chance) => ({ do: 'hostile', kind: chance.integer(0, 99), forMs: chance.pick([2_000, 6_000, 12_000]) }),
    // Somebody has to ask the liars.
    join,
  ],
  mistakes: [
    (chance) => ({ do: 'rewind', by: chance.integer(1, 10) }),
    () => ({ do: 'recreate' }),
    (chance) => ({ do: 'copy-disk', from: anyNode(chance), to: anyNode(chance) }),
    (chance) => ({ do: 'old-backup', node: anyNode(chance), forMs: aWhile(chance) }),
  ],
}
