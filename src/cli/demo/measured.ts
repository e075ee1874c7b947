/**
 * Three ways from nothing to the state, with how long each takes: a bare loop, a replay, a catch-up from
 * peers.
 */

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { childEnv } from '../../node-flags.ts'
import type { ProcessEvent } from '../../observe/events.ts'
import type { ReplicaProcess, WaitOptions } from '../../processes/replica-process.ts'
import type { CatchUpReport } from '../../replica/events.ts'
import type { BareReplayTask } from './bare-replay-process.ts'
import type { PlainReplay } from './plain-map.ts'

/**
 * A bare loop, in a process of its own like the replica it is compared with. Rejects when the signal aborts.
 */
export async function bareReplay(task: BareReplayTask, signal: AbortSignal): Promise<PlainReplay> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const program = new URL(`./bare-replay-process.${extension}`, import.meta.url)
  const child = fork(program, { execArgv: [], env: childEnv(), signal })
  child.send(task, () => {})
  const ended = once(child, 'disconnect').then(() => {
    throw new Error('the process with the bare loop ended before its time')
  })
  const [result] = (await Promise.race([once(child, 'message'), ended])) as [PlainReplay]
  return result
}

/**
 * How long a new replica takes from the moment it may follow the log until it is in sync, in milliseconds. It
 * must have been started with `snapshotAfter: Infinity`.
 */
export async function ordinaryReplay(replica: ReplicaProcess, options: WaitOptions): Promise<number> {
  const entered = (state: string) =>
    replica.waitFor(({ type, detail }) => type === 'state' && detail.state === state, options)
  const [began, ended] = [await entered('following'), await entered('in-sync')]
  return ended.atMs - began.atMs
}

/** Resolves when a new replica has caught up from its peers, with its own report. */
export async function caughtUp(replica: ReplicaProcess, options: WaitOptions): Promise<CatchUpReport> {
  const isReport = (event: ProcessEvent): event is ProcessEvent<'caught-up'> => event.type === 'caught-up'
  return (await replica.waitFor(isReport, options)).detail
}
