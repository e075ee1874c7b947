import { prometheusMetrics } from '@libp2p/prometheus-metrics'
import { Registry } from 'prom-client'
import type { ReplicaInit } from '../../replica/init.ts'

/** js-libp2p's own metrics of the replica of this process: what a replica and its observer are made with. */
export class Libp2pMetrics {
  /** Where they go. */
  readonly registry = new Registry()

  get init(): Pick<ReplicaInit<unknown>, 'libp2p'> {
    // Else it would empty the registry of the process, in which the machine's module may have metrics of its own.
    const metrics = { collectDefaultMetrics: false, preserveExistingMetrics: true }
    return { libp2p: { metrics: prometheusMetrics({ registry: this.registry, ...metrics }) } }
  }
}
