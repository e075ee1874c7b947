import type { MachineHost, StateMachine } from '../../src/machine/machine.ts'
import type { Replicated } from '../../src/machines/replicated.ts'

/** A machine that applies each write as it is submitted, as on the only replica of a group. */
export function attached<Result, M extends StateMachine<Result>>(machine: M & StateMachine<Result>): M {
  let index = 0
  const submit: MachineHost<Result>['submit'] = async (command, options) => {
    options?.signal?.throwIfAborted()
    index++
    const position = { epoch: 'test', index }
    return { position, result: machine.apply(command, { position, timeMs: 0, signature: machine.signature }) }
  }
  machine.attach?.({ submit, assertReadable() {} })
  return machine
}

/** What a machine tells from now on. The details are copied, so that their getters become plain values. */
export function recorded<Change>(machine: Replicated<Change, unknown>): Change[] {
  const changes: Change[] = []
  machine.addEventListener('change', ({ detail }) => changes.push({ ...detail }))
  return changes
}
