/**
 * Everything that expires, `anchorage/leases`: leases, a sweeper for them, a ticker for maintenance, and a queue that
 * releases things. It depends on no snapshot, log or network.
 *
 * @example
 * ```ts
 * const sessions = new LeaseTable<string>({ clock: systemClock })
 * const sweeper = new Sweeper({ table: sessions, clock: systemClock, onExpired: (id) => close(id) })
 * sessions.register('42', 30_000)
 * sessions.revive('42', 30_000) // undefined if it is gone
 * ```
 *
 * @packageDocumentation
 */
export * from '../time/index.ts'
export {
  type DropCounters,
  type DropFailedEvent,
  type DropKind,
  type DroppedEvent,
  DropQueue,
  type DropQueueInit,
  type DropSource,
} from './drop-queue.ts'
export { MalformedLeases } from './errors.ts'
export { type LeaseSnapshot, LeaseTable, type LeaseTableInit, type LeaseTransition } from './lease-table.ts'
export { SWEEP_CHUNK_KEYS, Sweeper, type SweeperInit } from './sweeper.ts'
