import { expect } from 'vitest'
import type { Cluster, ReplicaProcess, StartOptions } from '../../src/testing/index.ts'
import { expectSameRoots, isCaughtUp, pause } from './support.ts'
import { Writer } from './writer.ts'

/** The two versions of the inventory of the documents, as programs. */
export const FIRST = new URL('./inventory-1-process.ts', import.meta.url)
export const SECOND = new URL('./inventory-2-process.ts', import.meta.url)

/** A group whose replicas go from one program to another, one by one, while clients write. */
export class Rolling implements AsyncDisposable {
  readonly writer: Writer
  readonly #cluster: Cluster
  readonly #programs = new Map<string, URL>()
  #joiners = 0

  static async begin(cluster: Cluster, names: readonly string[], program = FIRST): Promise<Rolling> {
    const rolling = new Rolling(cluster, names, program)
    await Promise.all(names.map((name) => rolling.#start(name)))
    await rolling.writer.more(50)
    return rolling
  }

  private constructor(cluster: Cluster, names: readonly string[], program: URL) {
    this.#cluster = cluster
    for (const name of names) this.#programs.set(name, program)
    this.writer = new Writer(cluster, names)
  }

  /** Stop a replica, if it runs, and start that program on its data directory. */
  async restart(name: string, program: URL): Promise<ReplicaProcess> {
    await this.#running(name)?.stop()
    this.#programs.set(name, program)
    const replica = await this.#start(name)
    await this.writer.more(10)
    return replica
  }

  /** Resolves with one that has caught up from a snapshot. */
  async join(program: URL, options: StartOptions): Promise<ReplicaProcess> {
    const joiner = await this.#cluster.start({ ...options, name: `joiner-${++this.#joiners}`, program })
    await joiner.waitFor(isCaughtUp)
    await joiner.inSync()
    return joiner
  }

  /** Kill the leader (SIGKILL), wait until another leads, and start it again. */
  async killLeader(): Promise<void> {
    const killed = await this.#cluster.leader()
    await killed.kill()
    expect(await this.#cluster.leader()).not.toBe(killed)
    await this.#start(killed.name)
  }

  /** One of the group is not heard any more, and so the others go over to the version that they all speak. */
  async goesOverWithout(replica: ReplicaProcess): Promise<void> {
    await pause(this.#cluster, replica)
    for (const name of this.#programs.keys()) await this.#running(name)!.waitFor(isUpgraded)
    expect(new Set(await this.spoken())).toEqual(new Set(['inventory/2']))
  }

  /** What each of the running replicas says that the group speaks. */
  async spoken(): Promise<string[]> {
    const statuses = await Promise.all(this.running().map((replica) => replica.status()))
    return statuses.map(({ signature }) => signature)
  }

  running(): ReplicaProcess[] {
    return this.#cluster.replicas.filter(({ running, paused }) => running && !paused)
  }

  /** Names of those that have halted at any time. */
  halted(): string[] {
    return this.#cluster.replicas
      .filter(({ events }) =>
        events.some(({ type, detail }) => type === 'state' && detail.state === 'halted'),
      )
      .map(({ name }) => name)
  }

  async expectSameRoots(): Promise<void> {
    await expectSameRoots(this.#cluster)
  }

  /** No acknowledged write is lost, each has happened once, on all, and nobody has ever had another root. */
  async end(): Promise<void> {
    await this.writer.stop()
    await this.expectSameRoots()
    const articles = this.writer.acknowledged
    for (const replica of this.running()) {
      await replica.barrier()
      const stocks = await replica.call<number[]>('stocks', articles)
      expect(articles.filter((_, n) => stocks[n] !== 1)).toEqual([])
    }
    const told = this.#cluster.replicas.flatMap(({ events }) => events.map(({ type }) => type))
    expect(told.filter((type) => type === 'divergence' || type === 'disputed')).toEqual([])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.writer[Symbol.asyncDispose]()
  }

  async #start(name: string): Promise<ReplicaProcess> {
    const replica = await this.#cluster.start({ name, program: this.#programs.get(name)! })
    await replica.inSync()
    return replica
  }

  #running(name: string): ReplicaProcess | undefined {
    return this.#cluster.replicas.find((replica) => replica.name === name && replica.running)
  }
}

function isUpgraded({ type }: { readonly type: string }): boolean {
  return type === 'upgraded'
}
