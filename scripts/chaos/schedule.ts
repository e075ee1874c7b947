import { type Chance, chanceOf } from '../../src/testing/simulation/chance.ts'
import { endsLife, type Fault, type FaultKind, isDiskFault } from './fault.ts'
import type { LogKind } from './options.ts'

export interface ScheduleInit {
  readonly seed: number
  readonly log: LogKind
  readonly replicas: number
  readonly servers: number
  /** Whether this machine lets a small disk be mounted, which can be filled. */
  readonly disks: boolean
}

/** Faults in one round: with fewer they seldom meet, with more nobody is left to serve. */
const FAULTS_MIN = 3
const FAULTS_MAX = 6
/** When the last fault of a round begins, in milliseconds. */
const BEGINS_BY_MS = 8_000
const LASTS_MS_MIN = 100
const LASTS_MS_MAX = 4_000
/** Draws of a fault that does not go with the others of the round, until it is left out. */
const DRAWS_MAX = 20

const COMMON: Partial<Record<FaultKind, number>> = {
  kill: 20,
  stop: 8,
  pause: 16,
  wipe: 8,
  corrupt: 8,
  'old-copy': 8,
  'full-disk': 6,
  'kill-all': 4,
  join: 10,
}
const OWN: Record<LogKind, Partial<Record<FaultKind, number>>> = {
  sqlite: { 'lock-log': 8 },
  nats: { 'kill-server': 14, 'pause-server': 8, 'kill-all-servers': 4 },
  postgres: { 'kill-server': 10, 'pause-server': 8, 'promote-server': 10, 'kill-all-servers': 4 },
}

/** The faults of each round, which follow from the seed. */
export class Schedule {
  readonly #init: ScheduleInit
  readonly #weights: Partial<Record<FaultKind, number>>

  constructor(init: ScheduleInit) {
    this.#init = init
    this.#weights = { ...COMMON, ...OWN[init.log], ...(!init.disks && { 'full-disk': 0 }) }
  }

  /** The faults of this round, by when they begin. The first round is number 1. */
  round(number: number): readonly Fault[] {
    const chance = chanceOf(this.#init.seed, `round ${number}: what happens in it`)
    const faults: Fault[] = []
    const count = chance.integer(FAULTS_MIN, FAULTS_MAX)
    for (let draws = 0; faults.length < count && draws < DRAWS_MAX; draws++) {
      const fault = this.#draw(chance)
      if (goesWith(fault, faults, this.#init.replicas)) faults.push(fault)
    }
    return faults.sort((a, b) => a.atMs - b.atMs)
  }

  #draw(chance: Chance): Fault {
    const kind = chance.weighted(this.#weights as Record<FaultKind, number>)
    const { servers, replicas } = this.#init
    const targets = kind.endsWith('-server') ? servers : replicas
    return {
      kind,
      target: chance.integer(0, targets - 1),
      atMs: chance.integer(0, BEGINS_BY_MS),
      forMs: chance.integer(LASTS_MS_MIN, LASTS_MS_MAX),
      where: chance.next(),
    }
  }
}

/**
 * Whether one more fault leaves the group what it needs to keep its state. One disk is damaged in a round,
 * and another replica lives through that round: who loses the disks and the memory of all has lost the state.
 * One server is down at a time, or all.
 */
function goesWith(fault: Fault, others: readonly Fault[], replicas: number): boolean {
  const all = [...others, fault]
  const kinds = all.map(({ kind }) => kind)
  if (kinds.filter(isDiskFault).length > 1) return false
  if (kinds.filter((kind) => kind.endsWith('server') || kind.endsWith('servers')).length > 1) return false
  if (!kinds.some(isDiskFault)) return true
  const ended = new Set(all.filter(({ kind }) => endsLife(kind)).map(({ target }) => target))
  return !kinds.includes('kill-all') && ended.size < replicas - 1
}
