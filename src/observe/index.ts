/**
 * `anchorage/observe`: metrics of a replica for Prometheus, and its health over HTTP. It stands apart, so that a
 * program without it does not load `prom-client`.
 *
 * @packageDocumentation
 */

export type { Health, Verdict } from './health.ts'
export { type HttpOptions, type ReplicaHttpServer, serveHttp } from './http-server.ts'
export { METRICS, type MetricDefinition, type MetricName } from './metric-definitions.ts'
export type { ObservableReplica } from './observable-replica.ts'
export { type ObservedReplica, type ObserveOptions, observeReplica } from './observed-replica.ts'
