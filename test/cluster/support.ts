import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect } from 'vitest'
import type { LogEntry } from '../../src/log/log.ts'
import { logAt } from '../../src/log/log-at.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Position } from '../../src/position.ts'
import type { Cluster, ProcessEvent, ReplicaProcess, StartOptions } from '../../src/testing/index.ts'

const STORY_EVENTS = 60
const STORY_CHARACTERS = 200

/** Start a replica with a data directory that is the same whenever it is started by this name. */
export async function startWithDisk(cluster: Cluster, name: string): Promise<ReplicaProcess> {
  return await cluster.start({ name, dataDir: join(cluster.dir, `data-${name}`) })
}

/** Every process that runs captures at one position, and all have the same root there. Resolves with the anchor. */
export async function expectSameRoots(cluster: Cluster): Promise<Position> {
  const replicas = cluster.replicas.filter((replica) => replica.running && !replica.paused)
  await Promise.all(replicas.map((replica) => replica.inSync()))
  const leader = await cluster.leader()
  const anchor = await leader.mark()
  const roots = await Promise.all(
    replicas.map((replica) =>
      replica.rootAt(anchor).catch((error: Error) => {
        throw new Error(`${replica.name} has no root at ${anchor.index}; it told of ${story(replica)}`, {
          cause: error,
        })
      }),
    ),
  )
  expect(new Set(roots).size, `roots at ${anchor.index}: ${roots}`).toBe(1)
  return anchor
}

/**
 * Resolves when the leader knows that every process is in sync. Its next marker names them as electors, so what they
 * attest is in the log for all to see. Before that, one that diverges learns so from the seal, and tells it alone.
 */
export async function allAreElectors(cluster: Cluster): Promise<void> {
  const leader = await cluster.leader()
  await cluster.waitUntil('the leader knows that all are in sync', async () => {
    const { members } = await leader.status()
    return cluster.replicas.every(({ id }) => members.some((one) => one.id === id && one.state === 'in-sync'))
  })
}

/**
 * Prune all that can be pruned: whoever joins now needs a snapshot. Nobody who runs lags by then, or it would need
 * one too, and could not serve.
 */
export async function pruneAll(cluster: Cluster): Promise<void> {
  const running = cluster.replicas.filter((replica) => replica.running && !replica.paused)
  await Promise.all(running.map((replica) => replica.barrier()))
  const leader = await cluster.leader()
  expect(await leader.prune({ keepEntries: 0 })).toBeGreaterThan(0)
}

/**
 * Stop a process where it is, but not inside a transaction of SQLite's: there it would hold the log's lock, and that is
 * another test.
 */
export async function pause(cluster: Cluster, replica: ReplicaProcess): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    replica.pause()
    if (cluster.log !== cluster.logPath || isWritable(cluster.logPath)) return
    replica.resume()
  }
  throw new Error(`${replica.name} was inside a transaction 100 times`)
}

function isWritable(path: string): boolean {
  const db = new DatabaseSync(path, { timeout: 250 })
  try {
    db.exec('BEGIN IMMEDIATE; ROLLBACK')
    return true
  } catch {
    return false
  } finally {
    db.close()
  }
}

type SyncEvent = ProcessEvent<'sync'>

/** How far a joiner is that tells of its fetch. */
export function progress({ type, detail }: ProcessEvent) {
  if (type !== 'sync' || detail.type !== 'session' || detail.state.status !== 'fetching') return undefined
  return detail.state
}

export function isFetching(event: ProcessEvent): event is SyncEvent {
  return (progress(event)?.chunks ?? 0) > 0
}

export function isSession(status: string) {
  return (event: ProcessEvent): event is SyncEvent =>
    event.type === 'sync' && event.detail.type === 'session' && event.detail.state.status === status
}

export function isSync(type: SyncEvent['detail']['type']) {
  return (event: ProcessEvent): event is SyncEvent => event.type === 'sync' && event.detail.type === type
}

export function isCaughtUp(event: ProcessEvent): event is ProcessEvent<'caught-up'> {
  return event.type === 'caught-up'
}

/** Start a joiner and stop it (SIGSTOP) when it has some of the chunks, but not all. */
export async function joinerStoppedMidway(
  cluster: Cluster,
  options: StartOptions = { name: 'joiner' },
): Promise<ReplicaProcess> {
  const joiner = await cluster.start(options)
  await joiner.waitFor(isFetching)
  await pause(cluster, joiner)
  expect(joiner.events.some(isSession('done')), 'the joiner was stopped too late').toBe(false)
  return joiner
}

/** Anchors that this process captured. */
export function captures(replica: ReplicaProcess): number[] {
  return replica.events.flatMap((event) =>
    event.type === 'sync' && event.detail.type === 'captured' ? [event.detail.anchor.index] : [],
  )
}

/** Open the cluster's log as somebody: what a replica of that name could do to it. */
export async function openLog(cluster: Cluster, author: string) {
  const { signature } = new ReplicatedMap()
  const log = await logAt(cluster.log).open({ group: cluster.group, signature, author })
  return Object.assign(log, { [Symbol.asyncDispose]: () => log.close() })
}

export async function readLog(cluster: Cluster, after = 0): Promise<LogEntry[]> {
  await using log = await openLog(cluster, 'a test')
  const { first } = await log.bounds()
  const entries: LogEntry[] = []
  for await (const batch of log.read({ index: Math.max(after, first - 1) })) entries.push(...batch.entries)
  return entries
}

/** The newest events of a process, in short: for the message of a test that failed. */
function story(replica: ReplicaProcess): string {
  const events = replica.events.filter((event) => progress(event) === undefined)
  return events
    .slice(-STORY_EVENTS)
    .map(({ type, detail }) => `${type} ${JSON.stringify(detail)}`.slice(0, STORY_CHARACTERS))
    .join('\n')
}
