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

/** This machine's clock against those of the replicas that answer. */
export const memberClocks: Check = {
  name: 'clocks',
  needs: 'replicas',
  async run(patient) {
    const offsets = [...(await patient.heard())].flatMap(([id, heard]) => offsetOf(id, heard))
    const off = offsets.filter(({ offsetMs }) => Math.abs(offsetMs) > OFF_MS)
    if (offsets.length === 0) return []
    if (off.length === 0)
      return [
        ok(
          'clock-of-members',
          `as those of ${counted(offsets.length, 'replica')} that answer, within ${span(OFF_MS)}`,
        ),
      ]
    if (off.length === offsets.length && offsets.length > 1) {
      const { offsetMs } = off.sort((a, b) => Math.abs(a.offsetMs) - Math.abs(b.offsetMs))[0]!
      return [
        compared(
          'clock-of-members',
          `the clocks of all ${counted(off.length, 'replica')} that answer`,
          offsetMs,
        ),
      ]
    }
    return off.map(({ id, offsetMs }) =>
      compared('clock-of-members', `the clock of ${shortId(id)}`, offsetMs),
    )
  },
}

function offsetOf(id: string, heard: Heard): { readonly id: string; readonly offsetMs: number }[] {
  if (heard.how !== 'told' || heard.account.clockMs === undefined) return []
  return [{ id, offsetMs: heard.account.clockMs - (heard.atMs - heard.tookMs / 2) }]
}

/** @param offsetMs by how much the other clock is ahead of this one */
function compared(code: string, whose: string, offsetMs: number): Finding {
  const byMs = Math.abs(offsetMs)
  if (byMs <= OFF_MS) return ok(code, `within ${span(OFF_MS)} of ${whose}`)
  const message = `this machine's clock is ${span(byMs)} ${offsetMs > 0 ? 'behind' : 'ahead of'} ${whose}`
  return (byMs > WRONG_MS ? fail : warn)(code, message, SET_IT)
}
