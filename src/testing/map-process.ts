import type { Json } from '../machine/codec.ts'
import type { Written } from '../machine/machine.ts'
import type { SetManyResult, SetResult } from '../machines/map/replicated-map.ts'
import type { TtlOption } from '../machines/ttl.ts'
import type { Position } from '../position.ts'
import { ReplicaProcess as AnyReplicaProcess } from '../processes/replica-process.ts'
import type { FillOptions, WritingOptions } from './map-program.ts'

/**
 * A replica in a process of its own, started by a cluster. The methods for keys are those of the built-in
 * program's map, and reject like `call`. A program of your own has its own methods: use `call`.
 */
export class ReplicaProcess extends AnyReplicaProcess {
  /** See `ReplicatedMap.set`. Resolves when the write is applied in the process. */
  set(key: string, value: Json, options: TtlOption = {}): Promise<Written<SetResult>> {
    return this.call('set', key, value, options)
  }

  /** See `ReplicatedMap.ttl`: milliseconds of machine time, `Infinity`, or undefined for an absent key. */
  ttl(key: string): Promise<number | undefined> {
    return this.call('ttl', key)
  }

  /** See `ReplicatedMap.persist`. */
  persist(key: string): Promise<Written<boolean>> {
    return this.call('persist', key)
  }

  /** See `ReplicatedMap.get`: the value that this process has applied, or undefined for an absent key. */
  get<V = Json>(key: string): Promise<V | undefined> {
    return this.call('get', key)
  }

  /** See `ReplicatedMap.setMany`. */
  setMany(entries: readonly (readonly [string, Json])[]): Promise<Written<SetManyResult>> {
    return this.call('setMany', entries)
  }

  /** See `ReplicatedMap.delete`. */
  delete(key: string): Promise<Written<boolean>> {
    return this.call('delete', key)
  }

  /** See `ReplicatedMap.deleteMany`. */
  deleteMany(keys: readonly string[]): Promise<Written<number>> {
    return this.call('deleteMany', keys)
  }

  /** See `ReplicatedMap.clear`. */
  clear(): Promise<Written<number>> {
    return this.call('clear')
  }

  /** See `ReplicatedMap.size`. */
  size(): Promise<number> {
    return this.call('size')
  }

  /** All entries that this process has applied, in the order of their keys. */
  entries<V = Json>(): Promise<[key: string, value: V][]> {
    return this.call('entries')
  }

  /** Set many entries from within the process. Resolves with the position of the last. */
  fill(options: FillOptions): Promise<Position> {
    return this.call('fill', options)
  }

  /** Begin to write in the background, new keys all the time. Writes that fail are in the log. */
  async startWriting(options: WritingOptions = {}): Promise<void> {
    await this.call('startWriting', options)
  }

  /** Resolves with the number of writes that were acknowledged since `startWriting`. */
  stopWriting(): Promise<number> {
    return this.call('stopWriting')
  }
}
