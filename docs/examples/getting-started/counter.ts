import { type Installation, MalformedCommand, type Snapshot, type StateMachine } from 'anchorage/machine'

/** One number. A command is what to add to it, as text. */
export default class Counter implements StateMachine<number> {
  readonly signature = 'counter/1'
  #total = 0

  apply(command: Uint8Array): number {
    this.#total += decode(command)
    return this.#total
  }

  query(): Uint8Array {
    return Buffer.from(String(this.#total))
  }

  capture(): Snapshot {
    const item = Buffer.from(String(this.#total))
    return { size: 1, items: () => [item].values(), release() {} }
  }

  install(): Installation {
    let total = 0
    return {
      add(items) {
        for (const item of items) total = decode(item)
      },
      commit: () => {
        this.#total = total
      },
    }
  }
}

function decode(bytes: Uint8Array): number {
  const number = Number(Buffer.from(bytes).toString())
  if (Number.isSafeInteger(number)) return number
  throw new MalformedCommand('a command is an integer')
}
