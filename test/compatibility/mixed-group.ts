import { randomUUID } from 'node:crypto'
import { expect } from 'vitest'
import type { UpgradePolicy } from '../../src/index.ts'
import type { LogPlace } from '../../src/log/log-place.ts'
import { type Cluster, type ReplicaProcess, startCluster } from '../../src/testing/index.ts'
import { expectSameRoots, isCaughtUp, pause } from '../cluster/support.ts'
import type { Release } from './last-release.ts'

/** Which package a process runs: today's, or a release. */
export type Version = 'today' | Release

/** Any time is a time to prune: no test waits for the first checkpoint. */
const OPTIONS = { leaseMs: 2_000, chunkBytes: 4_096, volatile: true, checkpoint: { everyCommands: 20 } }
/** It takes several chunks. */
const STATE = { count: 5_000, batch: 100 }

export interface MixedGroupInit {
  /** Default: a file. */
  readonly log?: LogPlace | undefined
  /** When the group goes over to a newer format. Default: never. */
  readonly upgrade?: UpgradePolicy
}

/** A group of processes of two versions. Each has a name and a data directory, which it keeps when its version changes. */
export class MixedGroup implements AsyncDisposable {
  readonly cluster: Cluster
  readonly #versions = new Map<string, Version>()
  #joined = 0

  private constructor(cluster: Cluster) {
    this.cluster = cluster
  }

  /** A member of each version, named by its number, the first of which made the log. They have a state already. */
  static async start(
    versions: readonly Version[],
    { log, upgrade = 'manual' }: MixedGroupInit = {},
  ): Promise<MixedGroup> {
    const place = { group: randomUUID(), ...(log !== undefined && { log }) }
    const options = { ...OPTIONS, upgrade }
    const group = new MixedGroup(await startCluster({ replicas: 0, dataDirs: true, options, ...place }))
    try {
      for (const [number, version] of versions.entries()) await group.run(`${number}`, version)
      await group.running[0]!.fill(STATE)
    } catch (error) {
      await group.cluster.stop().catch(() => {})
      throw error
    }
    return group
  }

  get running(): ReplicaProcess[] {
    return this.cluster.replicas.filter((replica) => replica.running)
  }

  member(name: string): ReplicaProcess {
    const found = this.running.find((replica) => replica.name === name)
    if (found === undefined) throw new Error(`${name} does not run`)
    return found
  }

  /** Start a member, or start it again. Resolves when it is in sync. */
  async run(name: string, version: Version): Promise<ReplicaProcess> {
    this.#versions.set(name, version)
    const replica = await this.cluster.start({
      name,
      ...(version !== 'today' && { program: version.program }),
    })
    await replica.inSync()
    return replica
  }

  /** Stop a member, and start it again as this version. It begins with what the other version wrote down. */
  async change(name: string, version: Version): Promise<ReplicaProcess> {
    await this.member(name).stop()
    const changed = await this.run(name, version)
    const loaded = changed.events.some((e) => e.type === 'checkpoint' && e.detail.type === 'loaded')
    expect(loaded, 'it loaded the checkpoint of the other version').toBe(true)
    return changed
  }

  /** Kill a member, and start it again as what it was. */
  async crash(name: string): Promise<ReplicaProcess> {
    await this.member(name).kill()
    return await this.run(name, this.#versions.get(name)!)
  }

  /** A member is out of the presence store, and hears nothing. `resume()` lets it go on. */
  async leaveOut(name: string): Promise<ReplicaProcess> {
    const member = this.member(name)
    await pause(this.cluster, member)
    const others = this.running.filter((replica) => !replica.paused)
    await this.cluster.waitUntil(`${name} is no member any more`, async () => {
      const statuses = await Promise.all(others.map((replica) => replica.status()))
      return statuses.every(({ members }) => members.every(({ id }) => id !== member.id))
    })
    return member
  }

  /** Resolves when those who know of formats have this one. */
  async hasFormat(format: number): Promise<void> {
    const knowing = this.running.filter(({ name, paused }) => !paused && this.#versions.get(name) === 'today')
    await this.cluster.waitUntil(`the group has format ${format}`, async () => {
      const statuses = await Promise.all(knowing.map((replica) => replica.status()))
      return statuses.every((status) => status.format === format)
    })
  }

  /** The log is pruned: a replica of this version joins from a snapshot, writes what all others read, and leaves. */
  async join(version: Version): Promise<void> {
    const name = `joiner-${++this.#joined}`
    await this.#prune()
    const joiner = await this.run(name, version)
    await joiner.waitFor(isCaughtUp)
    await joiner.set(name, 'was here')
    await expectSameRoots(this.cluster)
    for (const replica of this.running) {
      await replica.barrier()
      expect(await replica.get(name)).toBe('was here')
    }
    await joiner.stop()
  }

  /**
   * The member of this name becomes one of this version, while another one writes. Then replicas of the given
   * versions join, and the leader is killed and comes back. No write is lost, and all have the same state.
   */
  async changeUnderWrites(name: string, version: Version, joiners: readonly Version[]): Promise<void> {
    const prefix = `${randomUUID()}-`
    const writer = this.running.find((replica) => replica.name !== name)!
    await writer.startWriting({ prefix })
    await this.change(name, version)
    for (const joiner of joiners) await this.join(joiner)
    const leader = await this.cluster.leader()
    // What a writer had not been told of when it was killed, nobody can count.
    const acknowledged = leader === writer ? await writer.stopWriting() : undefined
    await this.crash(leader.name)
    await this.expectWritten(prefix, acknowledged ?? (await writer.stopWriting()))
  }

  /** All have the same root, and so many keys of this prefix. Nobody was halted, or has had another root than the others. */
  async expectWritten(prefix: string, count: number): Promise<void> {
    expect(count).toBeGreaterThan(0)
    await expectSameRoots(this.cluster)
    for (const replica of this.running) {
      const entries = await replica.entries()
      expect(entries.filter(([key]) => key.startsWith(prefix))).toHaveLength(count)
    }
    this.expectNoHalt()
  }

  expectNoHalt(): void {
    const bad = this.cluster.replicas.flatMap(({ name, events }) =>
      events
        .filter(
          ({ type, detail }) => type === 'divergence' || (type === 'state' && detail.state === 'halted'),
        )
        .map((event) => `${name}: ${JSON.stringify(event)}`),
    )
    expect(bad).toEqual([])
  }

  /** As far as no anchor is in the way. What is in its way was pruned up to there before. */
  async #prune(): Promise<void> {
    await Promise.all(this.running.map((replica) => replica.barrier()))
    await (await this.cluster.leader()).prune({ keepEntries: 0 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop()
  }
}
