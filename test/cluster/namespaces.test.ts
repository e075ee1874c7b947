import { expect, test } from 'vitest'
import { READ_AHEAD_CHUNKS } from '../../src/sync/fetching/chunks/chunk-tracker.ts'
import {
  type Cluster,
  type ProcessEvent,
  type ReplicaProcess,
  type StartOptions,
  startCluster,
} from '../../src/testing/index.ts'
import { describeNamespaces, type Host, type Network, startNetwork } from './namespaces.ts'
import { expectSameRoots, isCaughtUp, isFetching, isSession, pause, progress, pruneAll } from './support.ts'

const OPTIONS = {
  volatile: true,
  chunkBytes: 4_096,
  ttlMs: 5_000,
  requestTimeoutMs: 20_000,
  fetchTimeoutMs: 20_000,
  leaseMs: 4_000,
}
/** Enough chunks that a joiner can be caught in the middle. */
const STATE = { count: 60_000, batch: 1_000, valueBytes: 300 }
/** Within this a replica notices that its server answers no pings any more. */
const NOTICE_MS = 15_000

describeNamespaces('replicas in network namespaces', () => {
  test('a joiner catches up from providers at the addresses that they have', async () => {
    await using network = await startNetwork()
    await using site = await startSite(network)
    const { cluster } = site
    await cluster.replicas[0]!.fill(STATE)
    await pruneAll(cluster)

    const joiner = await site.start({ name: 'joiner' })
    const { detail } = await joiner.waitFor(isCaughtUp)
    expect(await joiner.size()).toBe(STATE.count)
    const providers = cluster.replicas.filter((replica) => replica !== joiner)
    expect(providers.map(({ id }) => id)).toEqual(expect.arrayContaining([...detail.providersUsed]))
    expect(detail.providersUsed.length).toBeGreaterThan(1)
    await cluster.waitUntil('the joiner knows everybody', async () => (await membersOf(joiner)).size === 4)
    const members = await membersOf(joiner)
    for (const replica of cluster.replicas) {
      const { address } = site.hostOf(replica)
      expect(members.get(replica.id)).toEqual([expect.stringMatching(`^/ip4/${address}/tcp/\\d+`)])
    }
    await expectSameRoots(cluster)
  })

  test('a joiner finds the address that leads to each provider, of all that those listen on', async () => {
    await using network = await startNetwork()
    // All on one port, so that the loopback address of a provider is the joiner's own.
    const listen = (address: string) =>
      [deadEnd(address), '127.0.0.1', address].map((ip) => `/ip4/${ip}/tcp/4001`)
    await using site = await startSite(network, { deadEnds: true, listen })
    const { cluster } = site
    await cluster.replicas[0]!.fill(STATE)
    await pruneAll(cluster)

    const joiner = await site.start({ name: 'joiner' })
    const { detail } = await joiner.waitFor(isCaughtUp)
    expect(await joiner.size()).toBe(STATE.count)
    expect(detail.providersUsed.length).toBeGreaterThan(1)
    // An address where nobody answers is given up by the system after three seconds.
    expect(detail.phasesMs.request + detail.phasesMs.cut).toBeLessThan(3_000)
    const { address } = site.hostOf(cluster.replicas[0]!)
    const announced = (await membersOf(joiner)).get(cluster.replicas[0]!.id)
    expect(announced).toEqual(listen(address).map((one) => expect.stringMatching(`^${one}`)))
    await expectSameRoots(cluster)
  })

  test('the path to one provider is cut during the fetch: the others send the rest', async () => {
    await using network = await startNetwork()
    await using site = await startSite(network)
    const { cluster } = site
    await cluster.replicas[0]!.fill(STATE)
    await pruneAll(cluster)

    const joiner = await site.start({ name: 'joiner' })
    await joiner.waitFor((event) => (progress(event)?.providers.length ?? 0) > 1)
    await pause(cluster, joiner)
    expect(joiner.events.some(isSession('done')), 'the joiner was stopped too late').toBe(false)
    const [fetchedFrom] = progress(joiner.events.findLast(isFetching)!)!.providers
    const cutOff = cluster.replicas.find(({ id }) => id === fetchedFrom)!
    network.cut(site.hostOf(joiner), site.hostOf(cutOff))
    const resumedMs = Date.now()
    joiner.resume()

    const { detail, atMs } = await joiner.waitFor(isCaughtUp)
    // Others are asked for what it owes long before it is given up.
    expect(atMs - resumedMs).toBeLessThan(OPTIONS.fetchTimeoutMs)
    expect(detail.anchorsLost).toBe(0)
    expect(await joiner.size()).toBe(STATE.count)
    const { chunks } = progress(joiner.events.findLast((e) => isFetching(e) && e.atMs <= resumedMs)!)!
    const askedFor = chunks + READ_AHEAD_CHUNKS
    expect(chunksServed(cutOff, joiner), 'by the one that was cut off').toBeLessThanOrEqual(askedFor)
    const [one, other] = cluster.replicas.filter((replica) => replica !== joiner && replica !== cutOff)
    expect(chunksServed(one!, joiner) + chunksServed(other!, joiner)).toBeGreaterThan(askedFor)
    await expectSameRoots(cluster)
    // Both hear everybody else, the log's server too.
    await cluster.waitUntil('they know each other', async () => {
      return (await membersOf(joiner)).has(cutOff.id) && (await membersOf(cutOff)).has(joiner.id)
    })

    network.mend(site.hostOf(joiner), site.hostOf(cutOff))
    await cutOff.set('mended', true)
    await joiner.barrier()
    expect(await joiner.get('mended')).toBe(true)
    await expectSameRoots(cluster)
  })

  test('a leader that is cut off from the log says so, and comes back to another one', async () => {
    await using network = await startNetwork()
    await using site = await startSite(network)
    const { cluster } = site
    const cutOff = await cluster.leader()
    const other = cluster.replicas.find((replica) => replica !== cutOff)!
    await cutOff.set('before', 1)
    await other.barrier()

    network.cut(site.hostOf(cutOff), site.nats)
    await cutOff.waitFor(isLog({ connected: false }), { timeoutMs: NOTICE_MS })
    expect((await cutOff.status()).logConnected).toBe(false)
    expect(await cutOff.get('before')).toBe(1)
    await cluster.waitUntil('another leads', async () => (await other.status()).leader !== cutOff.id)
    await other.set('meanwhile', 2)
    expect(await cutOff.get('meanwhile')).toBeUndefined()

    network.mend(site.hostOf(cutOff), site.nats)
    await cutOff.waitFor(isLog({ connected: true }))
    await cutOff.barrier()
    expect(await cutOff.get('meanwhile')).toBe(2)
    const { leader, logConnected } = await cutOff.status()
    expect(logConnected).toBe(true)
    expect(leader).not.toBe(cutOff.id)
    await expectSameRoots(cluster)
  })
})

interface SiteInit {
  /** Each replica's host has a second network card, at which it hears nobody. */
  readonly deadEnds?: boolean
  /** Default: the host's address, at any port. */
  readonly listen?: (address: string) => readonly string[]
}

/** The address of a host's network card that leads nowhere. */
const deadEnd = (address: string) => address.replace('10.77.0', '10.99').concat('.1')

/** Three replicas and a NATS server, each on a host of its own. */
async function startSite(network: Network, init: SiteInit = {}): Promise<Site> {
  const nats = await network.addHost()
  const log = { servers: await network.startNats(nats) }
  const site = new Site(network, nats, await startCluster({ replicas: 0, options: OPTIONS, log }), init)
  const replicas = await Promise.all([site.start(), site.start(), site.start()])
  await Promise.all(replicas.map((replica) => replica.inSync()))
  return site
}

class Site implements AsyncDisposable {
  readonly nats: Host
  readonly cluster: Cluster
  readonly #network: Network
  readonly #init: SiteInit
  readonly #hosts = new Map<string, Host>()

  constructor(network: Network, nats: Host, cluster: Cluster, init: SiteInit) {
    this.nats = nats
    this.cluster = cluster
    this.#network = network
    this.#init = init
  }

  /** Start a replica on a host of its own. */
  async start(options: StartOptions = {}): Promise<ReplicaProcess> {
    const { deadEnds = false, listen = (at: string) => [`/ip4/${at}/tcp/0`] } = this.#init
    const host = await this.#network.addHost({ deadEnd: deadEnds })
    const { address, runUnder } = host
    const replica = await this.cluster.start({
      ...options,
      runUnder,
      listen: [...listen(address)],
    })
    this.#hosts.set(replica.id, host)
    return replica
  }

  hostOf({ id }: ReplicaProcess): Host {
    return this.#hosts.get(id)!
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop()
  }
}

/** The addresses of those whose announcements this replica takes for fresh. */
async function membersOf(replica: ReplicaProcess): Promise<Map<string, readonly string[]>> {
  const { members } = await replica.status()
  return new Map(members.map(({ id, addresses }) => [id, addresses]))
}

/** Chunks that a replica sent to this peer, as far as it has told. */
function chunksServed(replica: ReplicaProcess, { id }: ReplicaProcess): number {
  const served = replica.events.flatMap(({ type, detail }) =>
    type === 'sync' && detail.type === 'served' && detail.peer === id ? [detail.chunks] : [],
  )
  return served.at(-1) ?? 0
}

function isLog({ connected }: { connected: boolean }) {
  return ({ type, detail }: ProcessEvent) => type === 'log' && detail.connected === connected
}
