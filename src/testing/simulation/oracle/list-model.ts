import { type ByteString, byteStringOf, bytesOf } from '../../../machine/byte-string.ts'
import type { Json } from '../../../machine/codec.ts'
import { MalformedCommand } from '../../../machine/machine.ts'
import { type Command, decodeCommand } from '../../../machines/list/command.ts'
import type { ReplicatedList } from '../../../machines/list/replicated-list.ts'
import { chained, hashOfText } from './digest.ts'
import type { Model } from './model.ts'

/** Every so many digests of a machine, all its reads are compared with its items, too. */
const DIGESTS_PER_AUDIT = 16
/** Items that an explanation names. */
const EXPLAINED = 10

/** What the writer is told of an index that is not there is no result of its own. */
const REFUSED = 'refused'

/** What a `ReplicatedList` of JSON holds: a plain array. */
export class ListModel<T = Json> implements Model<ReplicatedList<T>> {
  readonly #held: ByteString[] = []
  readonly #digests = new WeakMap<object, number>()

  apply(bytes: Uint8Array): unknown {
    let command: Command
    try {
      command = decodeCommand(bytes)
    } catch (error) {
      if (error instanceof MalformedCommand) return undefined
      throw error
    }
    return this.#execute(command)
  }

  digest(): string {
    return digestFrom(this.#held)
  }

  digestOf(machine: ReplicatedList<T>): string {
    const nth = this.#digests.get(machine) ?? 0
    this.#digests.set(machine, nth + 1)
    const items = itemsOf(machine)
    const digest = digestFrom(items)
    if (machine.length !== items.length) return `${digest}, but its length is ${machine.length}`
    const wrong = nth % DIGESTS_PER_AUDIT === 0 ? wrongReads(machine, items) : undefined
    return wrong === undefined ? digest : `${digest}, but ${wrong}`
  }

  sizeOf(machine: ReplicatedList<T>): number {
    return machine.length
  }

  explain(machine: ReplicatedList<T>): string[] {
    const found = itemsOf(machine)
    const lines: string[] = []
    for (let i = 0; i < Math.max(found.length, this.#held.length); i++) {
      if (found[i] === this.#held[i]) continue
      if (lines.length === EXPLAINED) return [...lines, 'and more']
      lines.push(`index ${i}: expected ${this.#held[i] ?? 'nothing'}, found ${found[i] ?? 'nothing'}`)
    }
    const wrong = wrongReads(machine, found)
    return wrong === undefined ? lines : [...lines, wrong]
  }

  #execute(command: Command): unknown {
    const held = this.#held
    switch (command.type) {
      case 'push':
        return held.push(...command.values.map((value) => byteStringOf(value)))
      case 'insert': {
        const { index, value } = command
        if (index > held.length) return REFUSED
        held.splice(index, 0, byteStringOf(value))
        return held.length
      }
      case 'set':
        return this.#put(command.index, byteStringOf(command.value))
      case 'delete':
        return this.#put(command.index)
      case 'swap': {
        const { index, other } = command
        const [value, otherValue] = [held[index], held[other]]
        if (value === undefined || otherValue === undefined) return REFUSED
        held[index] = otherValue
        held[other] = value
        return index !== other
      }
      case 'pop':
        return decoded(held.pop())
      case 'shift':
        return decoded(held.shift())
      case 'truncate':
        return held.splice(command.length).length
      case 'clear':
        return held.splice(0).length
      case 'compareAndSet': {
        const { index, expected, value } = command
        if (held[index] !== byteStringOf(expected)) return false
        this.#put(index, ...(value === undefined ? [] : [byteStringOf(value)]))
        return true
      }
      case 'compareAndInsert': {
        const { index, expected, value } = command
        if (index > held.length || held[index] !== (expected && byteStringOf(expected))) return false
        held.splice(index, 0, byteStringOf(value))
        return true
      }
      default:
        return command satisfies never
    }
  }

  /** Put something, or nothing, in the place of an item. Returns the value that was there. */
  #put(index: number, ...value: readonly ByteString[]): unknown {
    return index < this.#held.length ? decoded(this.#held.splice(index, 1, ...value)[0]) : REFUSED
  }
}

function digestFrom(items: readonly ByteString[]): string {
  return `${items.length} items, ${items.reduce((hash, item) => chained(hash, hashOfText(item)), 0)}`
}

function itemsOf<T>(machine: ReplicatedList<T>): ByteString[] {
  const snapshot = machine.capture()
  const items = Array.from(snapshot.items(), (item) => byteStringOf(item))
  snapshot.release()
  return items
}

/** What a reader of the list sees, against its own items. Undefined if nothing is wrong. */
function wrongReads<T>(machine: ReplicatedList<T>, items: readonly ByteString[]): string | undefined {
  const expected = items.map((item) => JSON.stringify(decoded(item)))
  const reads: Record<string, readonly unknown[]> = {
    iterates: [...machine],
    slices: machine.slice(),
    'reads backwards': [...machine.values({ reverse: true })].reverse(),
    'reads by index': expected.map((_, index) => machine.at(index)),
    'reads from its end': expected.map((_, index) => machine.at(index - expected.length)),
  }
  for (const [how, values] of Object.entries(reads)) {
    const at = values.findIndex((value, index) => JSON.stringify(value) !== expected[index])
    if (at >= 0 || values.length !== expected.length)
      return `it ${how} ${values.length} values, the first wrong one at ${at}`
  }
  return undefined
}

function decoded(item: ByteString | undefined): unknown {
  return item === undefined ? undefined : JSON.parse(Buffer.from(bytesOf(item)).toString())
}
