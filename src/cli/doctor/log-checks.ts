import { randomUUID } from 'node:crypto'
import { errorCode } from '../../error-code.ts'
import { encodeAnnouncement } from '../../group/announcement.ts'
import { GROUP_FORMAT } from '../../group/formats.ts'
import { LogDamaged } from '../../log/errors.ts'
import type { Log } from '../../log/log.ts'
import { asError } from '../../thrown.ts'
import { ERRORS_PAGE, remedyFor } from '../facts/remedies.ts'
import { nameOf, signatureOf } from '../log/open-log.ts'
import { machineOf } from '../machine-module.ts'
import { count } from '../output.ts'
import { type Check, type Finding, fail, ok } from './finding.ts'

/** How long entries are read in search of damage, in milliseconds. */
const READ_THROUGH_MS = 2_000
/** How long the announcement lives that tries whether the log can be written, in milliseconds. */
const TRIAL_TTL_MS = 5_000

/** An error as a finding, with what to do about it. */
export function failed(error: unknown, what = ''): Finding {
  const { message, name } = asError(error)
  const code = errorCode(asError(error))
  if (name === 'TimeoutError')
    return fail('LOG_UNAVAILABLE', `${what}it did not answer within 5 s`, remedyFor('LOG_UNAVAILABLE')!)
  return fail(code, `${what}${message}`, remedyFor(code) ?? `look the error up in ${ERRORS_PAGE}`)
}

export const logOpens: Check = {
  name: 'log',
  async run(patient, signal) {
    const place = nameOf(patient.context)
    try {
      const log = await patient.opening()
      const { first, newest } = await log.bounds({ signal })
      const held = `entries ${count(first)} to ${count(newest.index)}`
      return [ok('log-open', `${place} is there: epoch ${log.epoch}, ${held}`)]
    } catch (error) {
      return [failed(error)]
    }
  },
}

/** An announcement is written and withdrawn, as every command that asks replicas does. No entry is written. */
export const logTakesWrites: Check = {
  name: 'log writes',
  needs: 'log',
  async run(patient, signal) {
    const log = await patient.log()
    if (log === undefined) return []
    try {
      await tryWriting(log, signal)
      return [ok('log-writes', 'it takes announcements from here')]
    } catch (error) {
      return [failed(error)]
    }
  },
}

async function tryWriting(log: Log, signal: AbortSignal): Promise<void> {
  const name = `doctor-${randomUUID().slice(0, 8)}`
  const announcement = encodeAnnouncement({
    epoch: log.epoch,
    addresses: [],
    state: 'stopped',
    applied: 0,
    leads: 0,
    offers: [],
    needs: 0,
    checkpoint: 0,
    format: GROUP_FORMAT,
  })
  await log.notices.announce(name, announcement, TRIAL_TTL_MS, { signal })
  await log.notices.withdraw(name, { signal })
}

export const logIsWhole: Check = {
  name: 'log damage',
  needs: 'log',
  async run(patient, signal) {
    const log = await patient.log()
    if (log === undefined) return []
    const enough = AbortSignal.any([signal, AbortSignal.timeout(READ_THROUGH_MS)])
    let read = 0
    try {
      const { first } = await log.bounds({ signal: enough })
      for await (const { entries } of log.read({ index: first - 1 }, { signal: enough }))
        read += entries.length
    } catch (error) {
      if (error instanceof LogDamaged) return [failed(error)]
      // It may be pruned meanwhile, and two seconds are enough of a long one.
    }
    return [ok('log-whole', `${count(read)} entries were read, and none is damaged`)]
  },
}

/** The machine's versions against that of the log. */
export const machineSpeaks: Check = {
  name: 'machine',
  needs: 'log',
  async run(patient) {
    const { machine: path } = patient.options
    const log = await patient.log()
    if (log === undefined) return []
    try {
      const { signature, older = [] } = await machineOf(path)
      const found = signatureOf(log)
      if ([signature, ...older].includes(found))
        return [ok('machine', `it speaks ${JSON.stringify(found)}, as the group does`)]
      const whose = path === undefined ? 'without --machine it is a map, which' : `the machine of ${path}`
      return [
        fail(
          'other-signature',
          `the group speaks ${JSON.stringify(found)}, and ${whose} speaks ${[signature, ...older].map((one) => JSON.stringify(one)).join(', ')}: a replica with these flags is refused`,
          path === undefined
            ? 'give the machine of the group with --machine, or another log with --log'
            : 'install the version of the machine that the others run, or give another log with --log',
        ),
      ]
    } catch (error) {
      return [failed(error)]
    }
  },
}
