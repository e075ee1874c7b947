import { constants } from 'node:fs'
import { access, readdir, stat, statfs } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Belonging, checkpointsAmong } from '../../checkpoint/belonging.ts'
import { keptIdentity } from '../../checkpoint/data-directory.ts'
import { openCheckpoint } from '../../checkpoint/file.ts'
import { fileStorage } from '../../checkpoint/file-storage.ts'
import { totalBytes } from '../../snapshot/manifest.ts'
import { asError } from '../../thrown.ts'
import { remedyFor } from '../facts/remedies.ts'
import { count, shortId, size } from '../output.ts'
import { type Check, type Finding, fail, ok, warn } from './finding.ts'
import { holderOf } from './lock-holder.ts'
import { failed } from './log-checks.ts'
import { isOpenToOthers, octal } from './process-checks.ts'

/** With less room than this, in bytes, not even a key and the log's own files find place. */
const ROOM_BYTES_MIN = 4 * 1024 * 1024
/** Room for a snapshot of which nothing is known, in bytes. */
const ROOM_BYTES_USUAL = 256 * 1024 * 1024
const INODES_MIN = 1_000

/** The data directory: whether this user can use it, and whose it is. */
export const dataDirectory: Check = {
  name: 'data',
  async run({ options: { data } }) {
    if (data === undefined) return []
    const path = resolve(data)
    const stats = await stat(path).catch((error: NodeJS.ErrnoException) => error)
    if (stats instanceof Error) return [await notThere(path, stats)]
    if (!stats.isDirectory())
      return [fail('data-no-directory', `${path} is no directory`, 'name another one with --data')]
    const writable = await failureOf(access(path, constants.R_OK | constants.W_OK | constants.X_OK))
    if (writable !== undefined)
      return [
        fail(
          'data-not-writable',
          `this user cannot write ${path}: ${writable}`,
          'run this as the user of the node; give the directory to that user',
        ),
      ]
    if (isOpenToOthers(stats))
      return [
        warn(
          'data-open',
          `${path} has mode ${octal(stats)}: other users can look into it`,
          `chmod 700 ${path}`,
        ),
      ]
    return [ok('data', `${path} is there and may be written`)]
  },
}

async function notThere(path: string, { code, message }: NodeJS.ErrnoException): Promise<Finding> {
  if (code !== 'ENOENT') return fail('data-unreadable', message, remedyFor('DIRECTORY_UNUSABLE')!)
  const parent = await existingParent(path)
  const why = await failureOf(access(parent, constants.W_OK | constants.X_OK))
  return why === undefined
    ? ok('data', `${path} is not there yet, and can be made`)
    : fail(
        'data-not-writable',
        `${path} is not there and cannot be made: ${why}`,
        remedyFor('DIRECTORY_UNUSABLE')!,
      )
}

/** Another process may have it already. The lock is taken and given back at once. */
export const dataLock: Check = {
  name: 'data lock',
  needs: 'log',
  async run(patient) {
    const { data } = patient.options
    const path = data && join(resolve(data), 'lock')
    if (path === undefined || (await failureOf(access(path))) !== undefined) return []
    try {
      const lock = await fileStorage.lock(path)
      lock?.[Symbol.dispose]()
      if (lock !== undefined) return [ok('data-lock', 'no process uses the directory')]
    } catch (error) {
      const message = `${path} cannot be locked: ${asError(error).message}`
      return [fail('data-lock', message, remedyFor('DIRECTORY_UNUSABLE')!)]
    }
    const [holder, id, facts] = [await holderOf(path), await patient.id(), await patient.facts()]
    if (facts?.running.some((one) => one.id === id))
      return [
        warn(
          'data-in-use',
          `${holder} uses the directory, and its replica, ${shortId(id!)}, runs; a second process is refused it (DirectoryInUse)`,
          'nothing if that is the replica you mean; otherwise give the other one a --data of its own',
        ),
      ]
    return [
      fail(
        'data-in-use',
        `${holder} uses the directory, and no replica of it announces itself in this log: a process is refused it (DirectoryInUse)`,
        'stop that process, or look at its --log and --group; or give this replica a --data of its own',
      ),
    ]
  },
}

/** The replica's key, and the log that its state is of. */
export const dataBelongs: Check = {
  name: 'data content',
  needs: 'log',
  async run(patient) {
    const { data } = patient.options
    if (data === undefined) return []
    const path = resolve(data)
    const findings: Finding[] = []
    try {
      const key = await keptIdentity(path, fileStorage)
      if (key !== undefined) findings.push(ok('identity', `the replica is ${key.publicKey}`))
    } catch (error) {
      findings.push(failed(error))
    }
    const log = await patient.log()
    const checkpoints = join(path, 'checkpoints')
    if (log === undefined || (await failureOf(access(checkpoints))) !== undefined) return findings
    try {
      const belonging = new Belonging(path, checkpoints, fileStorage)
      await belonging.assert(log.epoch)
      if (await belonging.holdsState()) findings.push(ok('data-log', 'its checkpoints are of this log'))
    } catch (error) {
      const isAsked = patient.options.newLog === true
      findings.push(
        isAsked
          ? warn('data-log', asError(error).message, '--new-log goes on without that state')
          : failed(error),
      )
    }
    return findings
  },
}

/** Room for the data directory and for the log's file. */
export const diskSpace: Check = {
  name: 'disk',
  async run({ options: { data }, context: { log } }) {
    const findings: Finding[] = []
    if (data !== undefined) {
      const path = resolve(data)
      findings.push(await roomAt(await existingParent(path), await neededFor(path)))
    }
    if (log.isFile) findings.push(await roomAt(await existingParent(resolve(log.name)), undefined))
    return findings
  },
}

/** @param needed what a snapshot takes, in bytes, if that is known */
async function roomAt(path: string, needed: number | undefined): Promise<Finding> {
  const { bavail, bsize, files, ffree } = await statfs(path)
  const free = bavail * bsize
  const room = `${size(free)} are free at ${path}`
  if (free < ROOM_BYTES_MIN) return fail('disk-full', `the disk is full: ${room}`, remedyFor('ENOSPC')!)
  if (files > 0 && ffree < INODES_MIN)
    return (ffree === 0 ? fail : warn)(
      'disk-inodes',
      `${count(ffree)} files can still be made at ${path}`,
      'remove small files, or make the file system anew with more inodes',
    )
  const enough = needed ?? ROOM_BYTES_USUAL
  if (free >= enough) return ok('disk', room)
  return warn(
    'disk-low',
    needed === undefined
      ? `${room}; a catch-up needs room for a whole snapshot`
      : `${room}, and the newest checkpoint has ${size(needed)}: a catch-up needs room for as much again`,
    'make room, or move the directory to a larger disk',
  )
}

/** What a snapshot takes, by the newest checkpoint that can be read. */
async function neededFor(path: string): Promise<number | undefined> {
  const directory = join(path, 'checkpoints')
  const [newest] = checkpointsAmong(await readdir(directory).catch(() => []))
  if (newest === undefined) return undefined
  try {
    await using reader = await openCheckpoint(join(directory, newest.name), fileStorage)
    return totalBytes(reader.manifest)
  } catch {
    return undefined
  }
}

async function existingParent(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) {
    const stats = await stat(at).catch(() => undefined)
    if (stats?.isDirectory() || dirname(at) === at) return at
  }
}

/** Undefined for what succeeds. */
async function failureOf(work: Promise<unknown>): Promise<string | undefined> {
  return await work.then(
    () => undefined,
    (error: Error) => error.message,
  )
}
