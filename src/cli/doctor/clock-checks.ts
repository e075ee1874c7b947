import { Clocks, OFF_MS, SET_CLOCK_HERE, thisClockIs } from '../facts/clocks.ts'
import { span } from '../facts/span.ts'
import { counted } from '../output.ts'
import { type Check, type Finding, fail, ok, warn } from './finding.ts'

/** So far off, certificates and deadlines of keys are wrong. */
const WRONG_MS = 30_000

/** This machine's clock against the one that stamps entries, and against the newest entry. */
export const logClock: Check = {
  name: 'clock',
  needs: 'log',
  async run(patient, signal) {
    const log = await patient.log()
    if (log === undefined) return []
    const { newest } = await log.bounds({ signal })
    const beganMs = Date.now()
    const theirs = await log.serverTimeMs?.({ signal })
    if (theirs !== undefined)
      return [compared('clock-of-log', "the clock of the log's servers", theirs - (beganMs + Date.now()) / 2)]
    const aheadMs = newest.timestampMs - Date.now()
    if (newest.index === 0 || aheadMs <= OFF_MS)
      return [ok('clock-of-log', 'the newest entry is not of the future; each process stamps its own here')]
    const finding = aheadMs > WRONG_MS ? fail : warn
    return [
      finding(
        'clock-of-log',
        `the newest entry is of ${span(aheadMs)} in the future: this clock was put back, or is slow, or that of the process that wrote it is ahead`,
        SET_CLOCK_HERE,
      ),
    ]
  },
}

/** This machine's clock against those of the other replicas that answer. */
export const memberClocks: Check = {
  name: 'clocks',
  needs: 'replicas',
  async run(patient) {
    const [heard, self] = [await patient.heard(), await patient.id()]
    const { told, off } = new Clocks([...heard].filter(([id]) => id !== self))
    if (told === 0) return []
    if (off.length === 0) {
      const whose = counted(told, 'other replica')
      return [ok('clock-of-members', `as those of ${whose} that answer, within ${span(OFF_MS)}`)]
    }
    return off.map(({ byMs, why, remedy }) => {
      return (byMs > WRONG_MS ? fail : warn)('clock-of-members', why, remedy)
    })
  },
}

/** @param offsetMs by how much the other clock is ahead of this one */
function compared(code: string, whose: string, offsetMs: number): Finding {
  const byMs = Math.abs(offsetMs)
  if (byMs <= OFF_MS) return ok(code, `within ${span(OFF_MS)} of ${whose}`)
  return (byMs > WRONG_MS ? fail : warn)(code, thisClockIs(offsetMs, whose), SET_CLOCK_HERE)
}
