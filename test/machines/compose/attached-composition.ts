import { Items } from '../../../src/machine/items.ts'
import type { CommandContext, StateMachine } from '../../../src/machine/machine.ts'

/** The context of a command at a time, in the machine's newest version. */
export function at(timeMs: number, { signature }: Pick<StateMachine, 'signature'>): CommandContext {
  return { position: { epoch: 'test', index: 1 }, timeMs, signature }
}

/** Have a machine apply each write as it is submitted, as on the only replica of a group. */
export function attach<M extends StateMachine>(machine: M, timeMs = 0): M {
  let index = 0
  machine.attach?.({
    submit: async (command) => {
      index++
      const position = { epoch: 'test', index }
      return { position, result: machine.apply(command, { position, timeMs, signature: machine.signature }) }
    },
    assertReadable() {},
  })
  return machine
}

/** The items of the state now, each a copy, as hexadecimal digits. */
export function itemsNow(machine: StateMachine): string[] {
  const snapshot = machine.capture(machine.signature)
  const items = Array.from(snapshot.items(), (item) => Buffer.from(item).toString('hex'))
  snapshot.release()
  return items
}

/** Install some items, `step` of them at a time. */
export function install(machine: StateMachine, items: readonly string[], step = 3): void {
  const installation = machine.install(machine.signature)
  for (let from = 0; from < items.length; from += step) {
    const some = items.slice(from, from + step).map((item) => new Uint8Array(Buffer.from(item, 'hex')))
    installation.add(Items.of(...some))
  }
  installation.commit()
}
