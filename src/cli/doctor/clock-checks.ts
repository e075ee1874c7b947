import type { Heard } from '../facts/interviews.ts'
import { span } from '../facts/span.ts'
import { counted, shortId } from '../output.ts'
import { type Check, type Finding, fail, ok, warn } from './finding.ts'

/** Clocks that are kept by NTP are within a tenth of this, in milliseconds. */
const OFF_MS = 2_000
/** So far off, certificates and deadlines of keys are wrong. */
const WRONG_MS = 30_000

const SET_IT =
  'have NTP set it ("timedatectl set-ntp true"; in a virtual machine, look at its host), then restart the replica'

/** This machine's clock against the one that stamps entries, and against the newest entry. */
export const logClock: Check = {
  name: 'clock',
  needs: 'log',
  async run(patient, signal) {
    const log = await patient.log()
    if (log === undefined) return []
    const { newest } = await log.bounds({ signal })
    if (log.serverTimeMs !== undefined) {
      const beganMs = Date.now()
      const theirs = await log.serverTimeMs({ signal })
      return [compared('clock-of-log', "the clock of the log's servers", theirs - (beganMs + Date.now()) / 2)]
    }
    const aheadMs = newest.timestampMs - Date.now()
    if (newest.index === 0 || aheadMs <= OFF_MS)
      return [ok('clock-of-log', 'the newest entry is not of the future; each process stamps its own here')]
    const finding = aheadMs > WRONG_MS ? fail : warn
    return [
      finding(
        'clock-of-log',
        `the newest entry is of ${span(aheadMs)} in the future: this clock was put back, or is slow, or that of the process that wrote it is ahead`,
        SET_IT,
      ),
    ]
  },
}

/**
 * This machine's clock against those of the other replicas that answer. Where most of them agree with this one, those that
 * do not are off; otherwise it is this one.
 */
export const memberClocks: Check = {
  name: 'clocks',
  needs: 'replicas',
  async run(patient) {
    const [heard, self] = [await patient.heard(), await patient.id()]
    const others = [...heard].filter(([id]) => id !== self)
    const offsets = others.flatMap(([id, answer]) => offsetOf(id, answer))
    const off = offsets.filter(({ offsetMs }) => Math.abs(offsetMs) > OFF_MS)
    const agree = offsets.length - off.length
    if (offsets.length === 0) return []
    if (off.length === 0) {
      const whose = counted(offsets.length, 'other replica')
      return [ok('clock-of-members', `as those of ${whose} that answer, within ${span(OFF_MS)}`)]
    }
    if (agree > off.length) return off.map((offset) => another(offset, agree))
    const least = off.reduce((a, b) => (Math.abs(a.offsetMs) <= Math.abs(b.offsetMs) ? a : b))
    const of = agree === 0 ? `all ${off.length}` : `${off.length} of ${offsets.length}`
    const whose =
      offsets.length === 1
        ? `the clock of ${shortId(least.id)}`
        : `the clocks of ${of} other replicas that answer`
    return [compared('clock-of-members', whose, least.offsetMs)]
  },
}

/** By how much a replica's clock is ahead of this machine's. */
interface Offset {
  readonly id: string
  readonly offsetMs: number
}

function offsetOf(id: string, heard: Heard): Offset[] {
  if (heard.how !== 'told' || heard.account.clockMs === undefined) return []
  return [{ id, offsetMs: heard.account.clockMs - (heard.atMs - heard.tookMs / 2) }]
}

/** @param agree how many other replicas have the same time as this machine */
function another({ id, offsetMs }: Offset, agree: number): Finding {
  const byMs = Math.abs(offsetMs)
  const direction = offsetMs > 0 ? 'ahead of' : 'behind'
  return (byMs > WRONG_MS ? fail : warn)(
    'clock-of-members',
    `the clock of ${shortId(id)} is ${span(byMs)} ${direction} this one, which ${counted(agree, 'other replica')} agree with`,
    'have NTP set the clock of its machine ("timedatectl set-ntp true" there), then restart that replica',
  )
}

/** @param offsetMs by how much the other clock is ahead of this one */
function compared(code: string, whose: string, offsetMs: number): Finding {
  const byMs = Math.abs(offsetMs)
  if (byMs <= OFF_MS) return ok(code, `within ${span(OFF_MS)} of ${whose}`)
  const message = `this machine's clock is ${span(byMs)} ${offsetMs > 0 ? 'behind' : 'ahead of'} ${whose}`
  return (byMs > WRONG_MS ? fail : warn)(code, message, SET_IT)
}
