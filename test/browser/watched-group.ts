import { SlowLink } from '../../src/cli/demo/slow-link.ts'
import { createReplica, type MapResult, memoryLog, type Replica, ReplicatedMap } from '../../src/index.ts'
import { observeReplica, type ReplicaHttpServer, serveHttp } from '../../src/observe/index.ts'
import { freePorts } from '../../src/processes/free-ports.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'

/** What all of it may take, so that nothing is given up while links are held. */
const TIMES = { leaseMs: 30_000, ttlMs: 30_000, requestTimeoutMs: 60_000, fetchTimeoutMs: 60_000 }
const VALUE_LENGTH = 400
const FAST = Number.POSITIVE_INFINITY

export type Cities = ReplicatedMap<string, string>

/** A replica, reached over a link that a test makes as slow as it likes. */
export interface Watched {
  readonly replica: Replica<MapResult>
  readonly map: Cities
  readonly link: SlowLink
}

/** Real replicas in this process: libp2p on loopback, one log in memory. */
export class WatchedGroup implements AsyncDisposable {
  readonly log = memoryLog()
  readonly group: string
  readonly #stack = new AsyncDisposableStack()

  constructor(group = 'cities') {
    this.group = group
  }

  async start(options: Partial<ReplicaInit<MapResult>> = {}): Promise<Watched> {
    const [port] = await freePorts('127.0.0.1', 1)
    const link = this.#stack.use(await SlowLink.open(port!, FAST))
    const map: Cities = new ReplicatedMap()
    const replica = await createReplica({
      group: this.group,
      machine: map,
      log: this.log,
      volatile: true,
      logger: false,
      chunkBytes: 4 * 1024,
      listen: [`/ip4/127.0.0.1/tcp/${port}`],
      announce: [link.multiaddr],
      ...TIMES,
      ...options,
    })
    this.#stack.defer(() => replica.stop())
    return { replica, map, link }
  }

  /** One that leads, and others that never will, with so many items. */
  async startLed(
    followers: number,
    items: number,
    options: Partial<ReplicaInit<MapResult>> = {},
  ): Promise<[Watched, ...Watched[]]> {
    const leader = await this.start(options)
    await leader.replica.barrier()
    const others = await Promise.all(
      Array.from({ length: followers }, () => this.start({ ...options, lead: false })),
    )
    const rows = Array.from({ length: items }, (_, n): [string, string] => [`city ${n}`, incompressible(n)])
    if (items > 0) await leader.map.setMany(rows)
    await Promise.all(others.map(({ replica }) => replica.barrier()))
    return [leader, ...others]
  }

  /** Serve the page of a replica. */
  async serve({ replica }: Watched, port = 0): Promise<ReplicaHttpServer> {
    const observed = this.#stack.use(observeReplica(replica))
    return this.#stack.use(await serveHttp(observed, { port }))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }
}

/** A value that no compression makes shorter, the same for the same number. */
function incompressible(seed: number): string {
  let state = seed + 1
  const codes = Array.from({ length: VALUE_LENGTH }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return 33 + ((state >>> 16) % 90)
  })
  return String.fromCharCode(...codes)
}
