/**
 * The serving wing: what a replica does for those that catch up. It lives as long as the replica.
 *
 * `Provider` answers the requests of a stream, one after the other. `Admission` says which peers are let in,
 * `Quota` how much is done for them at once. `AnchorAllocator` names the anchor that a snapshot request gets:
 * on the leader only. What is served is in `snapshot/available.ts`. This wing knows nothing of the fetching
 * one; both speak `wire/`.
 */
export { AnchorAllocator } from './anchor-allocator.ts'
export type { ProviderEvent, ServingEvent } from './events.ts'
export { gone, offersOf } from './offers.ts'
export { Provider } from './provider.ts'
