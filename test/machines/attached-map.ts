import type { MachineHost, StateMachine } from '../../src/machine/machine.ts'
import {
  type MapResult,
  ReplicatedMap,
  type ReplicatedMapInit,
} from '../../src/machines/map/replicated-map.ts'

/** A map that applies each write as it is submitted, as on the only replica of a group. */
export function attachedMap<K, V>(init: ReplicatedMapInit<K, V>): ReplicatedMap<K, V> {
  const map = new ReplicatedMap<K, V>(init)
  let index = 0
  const submit: MachineHost<MapResult>['submit'] = async (command, options) => {
    options?.signal?.throwIfAborted()
    index++
    return { position: { epoch: 'test', index }, result: map.apply(command) }
  }
  map.attach({ submit, assertReadable() {} })
  return map
}

/** The items of the state now, each a copy, as hexadecimal digits. */
export function itemsNow(machine: StateMachine): string[] {
  const snapshot = machine.capture(machine.signature)
  const items = Array.from(snapshot.items(), (item) => Buffer.from(item).toString('hex'))
  snapshot.release()
  return items
}
