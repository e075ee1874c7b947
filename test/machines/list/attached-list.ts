import type { MachineHost } from '../../../src/machine/machine.ts'
import type { ListResult } from '../../../src/machines/list/list-items.ts'
import { ReplicatedList, type ReplicatedListInit } from '../../../src/machines/list/replicated-list.ts'

/** A list that applies each write as it is submitted, as on the only replica of a group. */
export function attachedList<T>(init: ReplicatedListInit<T> = {}): ReplicatedList<T> {
  const list = new ReplicatedList<T>(init)
  let index = 0
  const submit: MachineHost<ListResult<T>>['submit'] = async (command, options) => {
    options?.signal?.throwIfAborted()
    index++
    return { position: { epoch: 'test', index }, result: list.apply(command) }
  }
  list.attach({ submit, assertReadable() {} })
  return list
}
