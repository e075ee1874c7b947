// The entry `anchorage/machines`: what can be replicated, ready made.
export { KEY_BYTES_MAX, TTL_MS_MAX } from './limits.ts'
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
export type { MapCommands, TtlOption } from './map/map-commands.ts'
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
export { type ChangeEvents, Replicated } from './replicated.ts'
export type { CommandDb, SqlParameter, SqlRow } from './sqlite/command-db.ts'
export * from './sqlite/errors.ts'
export { SqliteMachine, type SqliteMachineInit, sqliteMachine } from './sqlite/sqlite-machine.ts'
