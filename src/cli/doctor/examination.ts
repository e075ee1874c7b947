import { availableParallelism, loadavg } from 'node:os'
import { raceSignal } from 'race-signal'
import { counted } from '../output.ts'
import { announces, listens } from './address-checks.ts'
import { logClock, memberClocks } from './clock-checks.ts'
import { dataBelongs, dataDirectory, dataLock, diskSpace } from './disk-checks.ts'
import { type Check, type Finding, fail } from './finding.ts'
import { group, members, versions } from './group-checks.ts'
import { failed, logIsWhole, logOpens, logTakesWrites, machineSpeaks } from './log-checks.ts'
import type { Patient } from './patient.ts'
import { networkKeyFile, nodeVersion, openFiles } from './process-checks.ts'

/** In the order in which they are told. */
const CHECKS: readonly Check[] = [
  nodeVersion,
  openFiles,
  logOpens,
  logTakesWrites,
  logIsWhole,
  logClock,
  machineSpeaks,
  dataDirectory,
  dataLock,
  dataBelongs,
  diskSpace,
  networkKeyFile,
  listens,
  announces,
  members,
  memberClocks,
  versions,
  group,
]

/** How long a check may take, in milliseconds, once what it needs is known. */
const CHECK_MS = 5_000

export interface Examined extends Finding {
  readonly check: string
}

/** Run all checks at once. Resolves with what they found, in a fixed order; rejects only with the signal's reason. */
export async function examine(patient: Patient, signal: AbortSignal): Promise<Examined[]> {
  const all = CHECKS.map(async (check) => {
    if (check.needs === 'log') await raceSignal(patient.log(), signal)
    if (check.needs === 'replicas') await raceSignal(patient.heard(), signal)
    const findings = await inTime(check, patient, signal)
    return findings.map((finding) => ({ check: check.name, ...finding }))
  })
  return (await Promise.all(all)).flat()
}

async function inTime(check: Check, patient: Patient, signal: AbortSignal): Promise<readonly Finding[]> {
  const late = AbortSignal.any([signal, AbortSignal.timeout(CHECK_MS)])
  try {
    return await raceSignal(check.run(patient, late), late)
  } catch (error) {
    signal.throwIfAborted()
    if (late.aborted)
      return [
        fail(
          'late',
          `this did not end within ${CHECK_MS / 1_000} s`,
          lateRemedy(loadavg()[0]!, availableParallelism()),
        ),
      ]
    return [failed(error)]
  }
}

/**
 * What to do about a check that did not end in time. On a busy machine it may only have waited for a processor.
 * @param load how many processes ran or waited for a processor or a disk, on average over the last minute
 */
export function lateRemedy(load: number, processors: number): string {
  const look = 'look at what hangs: the log, a disk, or the network'
  if (load <= 2 * processors) return look
  const busy = `the machine is busy, with a load of ${Math.round(load)} on ${counted(processors, 'processor')}`
  return `${busy}: run this again, alone; if it stays so, ${look}`
}
