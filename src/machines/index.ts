/**
 * What can be replicated, ready made, `anchorage/machines`: maps, sets, lists, queues, registers, tables of SQLite,
 * compositions of several, and projections of events. `anchorage/machine` is for a state machine of one's own.
 *
 * @packageDocumentation
 */

export { Refusal } from '../machine/errors.ts'
export { numberCodec } from '../machine/number-codec.ts'
export { nextRunVersion, type Run, type RunGroup } from '../machine/run.ts'
export { type Composition, compose } from './compose/compose.ts'
export type { ComposedCommands, ComposedMachine, ComposedResult } from './compose/composed-machine.ts'
export { BadComposition, BatchRefused, NotTransactional, UnknownPart } from './compose/errors.ts'
export { PartCommand, type ResultsOf } from './compose/part-command.ts'
export type { Parts } from './compose/parts.ts'
export { KEY_BYTES_MAX, PRIORITY_BYTES_MAX, TTL_MS_MAX } from './limits.ts'
export type { ListChange, Taken } from './list/changes.ts'
export { IndexOutOfRange } from './list/errors.ts'
export type { ListCommands } from './list/list-commands.ts'
export type { ListResult } from './list/list-items.ts'
export {
  type ListEvents,
  type ListRange,
  ReplicatedList,
  type ReplicatedListInit,
} from './list/replicated-list.ts'
export type { MapCommands } from './map/map-commands.ts'
export {
  type MapChange,
  type MapEvents,
  type MapRange,
  type MapResult,
  ReplicatedMap,
  type ReplicatedMapInit,
  type SetManyResult,
  type SetOptions,
  type SetResult,
} from './map/replicated-map.ts'
export type { OnceCommands } from './once/once-commands.ts'
export {
  type OnceChange,
  type OnceEvents,
  type OnceResult,
  ReplicatedOnce,
  type ReplicatedOnceInit,
} from './once/replicated-once.ts'
export { ReadOnlyState } from './projection/errors.ts'
export {
  type EventContext,
  type Projection,
  type ProjectionInit,
  projection,
  type StateCommand,
} from './projection/projection.ts'
export type { QueueChange } from './queue/queue-change.ts'
export { POP_COUNT_MAX, type PriorityRange, type QueueCommands } from './queue/queue-commands.ts'
export type { QueueItem } from './queue/queue-item.ts'
export type { QueueEnd } from './queue/queue-items.ts'
export type { ExtendResult, InsertResult, QueueResult } from './queue/queue-state.ts'
export {
  type PopManyOptions,
  type QueueEvents,
  ReplicatedPriorityQueue,
  type ReplicatedPriorityQueueInit,
} from './queue/replicated-priority-queue.ts'
export type { Range } from './range.ts'
export type { RegisterCommands } from './register/register-commands.ts'
export {
  type RegisterChange,
  type RegisterEvents,
  type RegisterResult,
  type RegisterSetOptions,
  type RegisterSetResult,
  ReplicatedRegister,
  type ReplicatedRegisterInit,
} from './register/replicated-register.ts'
export { type ChangeEvents, Replicated } from './replicated.ts'
export {
  type AddOptions,
  ReplicatedSet,
  type ReplicatedSetInit,
  type SetChange,
  type SetCommandResult,
  type SetEvents,
} from './set/replicated-set.ts'
export type { SetCommands } from './set/set-commands.ts'
export type { CommandDb, SqlParameter, SqlRow } from './sqlite/command-db.ts'
export * from './sqlite/errors.ts'
export {
  type OlderSqliteVersion,
  SqliteMachine,
  type SqliteMachineInit,
  sqliteMachine,
} from './sqlite/sqlite-machine.ts'
export type { TtlOption } from './ttl.ts'
