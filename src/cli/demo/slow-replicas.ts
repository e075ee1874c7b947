import type { Cluster, StartOptions } from '../../processes/cluster.ts'
import { freePorts } from '../../processes/free-ports.ts'
import type { ReplicaProcess } from '../../processes/replica-process.ts'
import { SlowLink } from './slow-link.ts'

/** Replicas of a cluster that others reach over slow links. */
export class SlowReplicas implements AsyncDisposable {
  readonly #cluster: Cluster
  readonly #bytesPerSecond: number
  readonly #links: SlowLink[] = []

  constructor(cluster: Cluster, bytesPerSecond: number) {
    this.#cluster = cluster
    this.#bytesPerSecond = bytesPerSecond
  }

  async start(options: StartOptions): Promise<ReplicaProcess> {
    const [port] = await freePorts('127.0.0.1', 1)
    const link = await SlowLink.open(port!, this.#bytesPerSecond)
    this.#links.push(link)
    const listen = [`/ip4/127.0.0.1/tcp/${port}`]
    return await this.#cluster.start({ ...options, listen, announce: [link.multiaddr] })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#links.map((link) => link[Symbol.asyncDispose]()))
  }
}
