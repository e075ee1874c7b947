// The entry `anchorage/machines`: what can be replicated, ready made.
export { KEY_BYTES_MAX, TTL_MS_MAX } from './limits.ts'
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
