import { counted, shortId } from '../output.ts'
import type { Heard } from './interviews.ts'
import { span } from './span.ts'

/** Clocks that are kept by NTP are within a tenth of this, in milliseconds. */
export const OFF_MS = 2_000

export const SET_CLOCK_HERE =
  'have NTP set it ("timedatectl set-ntp true"; in a virtual machine, look at its host), then restart the replica'
const SET_CLOCK_THERE =
  'have NTP set the clock of its machine ("timedatectl set-ntp true" there), then restart that replica'

/** A clock that is not as the others. */
export interface OffClock {
  /** The replica whose clock it is; null: this machine's. */
  readonly replica: string | null
  /** By how much, in milliseconds. */
  readonly byMs: number
  readonly why: string
  readonly remedy: string
}

/** By how much a replica's clock is ahead of this machine's. */
interface Offset {
  readonly id: string
  readonly offsetMs: number
  /** It may be less or more by so much: nobody knows when within its wait the answer was given. */
  readonly unsureMs: number
}

/**
 * This machine's clock and those of the replicas that answer. Where most of them agree with this one, those that do
 * not are off; otherwise it is this one.
 */
export class Clocks {
  /** How many replicas told theirs. */
  readonly told: number
  readonly off: readonly OffClock[]

  constructor(heard: Iterable<readonly [id: string, heard: Heard]>) {
    const offsets = [...heard].flatMap(([id, answer]) => offsetOf(id, answer))
    const off = offsets.filter(({ offsetMs, unsureMs }) => Math.abs(offsetMs) > OFF_MS + unsureMs)
    const agree = offsets.length - off.length
    this.told = offsets.length
    this.off =
      off.length === 0 || agree > off.length ? off.map((one) => another(one, agree)) : [here(off, agree)]
  }
}

function offsetOf(id: string, heard: Heard): Offset[] {
  if (heard.how !== 'told' || heard.account.clockMs === undefined) return []
  const unsureMs = heard.tookMs / 2
  return [{ id, unsureMs, offsetMs: heard.account.clockMs - (heard.atMs - unsureMs) }]
}

/** @param agree how many other replicas have the same time as this machine */
function another({ id, offsetMs }: Offset, agree: number): OffClock {
  const byMs = Math.abs(offsetMs)
  const direction = offsetMs > 0 ? 'ahead of' : 'behind'
  const why = `the clock of ${shortId(id)} is ${span(byMs)} ${direction} this one, which ${counted(agree, 'other replica')} agree with`
  return { replica: id, byMs, why, remedy: SET_CLOCK_THERE }
}

function here(off: readonly Offset[], agree: number): OffClock {
  const least = off.reduce((a, b) => (Math.abs(a.offsetMs) <= Math.abs(b.offsetMs) ? a : b))
  const of = agree === 0 ? `all ${off.length}` : `${off.length} of ${off.length + agree}`
  const isOne = off.length + agree === 1
  const whose = isOne ? `the clock of ${shortId(least.id)}` : `the clocks of ${of} other replicas that answer`
  const byMs = Math.abs(least.offsetMs)
  return { replica: null, byMs, why: thisClockIs(least.offsetMs, whose), remedy: SET_CLOCK_HERE }
}

/** @param offsetMs by how much the other clock is ahead of this one */
export function thisClockIs(offsetMs: number, whose: string): string {
  return `this machine's clock is ${span(Math.abs(offsetMs))} ${offsetMs > 0 ? 'behind' : 'ahead of'} ${whose}`
}
