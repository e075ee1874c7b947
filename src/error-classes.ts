/**
 * Every class of error that a replica, a log or a ready-made state machine throws or reports, and the types of their
 * fields, `anchorage/errors`. `docs/error-codes.md` says for each one when it comes, and what to do. Those that only
 * tests meet are in `anchorage/testing` and `anchorage/testing/log`.
 *
 * @packageDocumentation
 */

// The root, and what is made of a value that was thrown and is no error.
export { AnchorageError } from './errors.ts'
export { ThrownValue } from './thrown.ts'

// The log.
export * from './log/errors.ts'

// The replica, its group, its data directory, and its snapshots.
export * from './replica/errors.ts'
export * from './replica/import/errors.ts'
export * from './group/errors.ts'
export { PruneRefused } from './group/pruning.ts'
export * from './checkpoint/errors.ts'
export * from './snapshot/errors.ts'

// State machines: of one's own, and ready made.
export * from './machine/errors.ts'
export { MalformedCommand, MalformedQuestion } from './machine/machine.ts'
export * from './machines/compose/errors.ts'
export * from './machines/list/errors.ts'
export * from './machines/projection/errors.ts'
export * from './machines/sqlite/errors.ts'

// Catching up, on both sides of the wire.
export * from './sync/errors.ts'
export * from './sync/wire/errors.ts'

// Leases and tickers.
export * from './leases/errors.ts'
export { TickerStopped } from './time/ticker.ts'
