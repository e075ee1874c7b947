import { type ByteString, bytesOf } from '../../../machine/byte-string.ts'
import { type Codec, stringCodec } from '../../../machine/codec.ts'
import { type CommandContext, MalformedCommand } from '../../../machine/machine.ts'
import { type Command, decodeCommand } from '../../../machines/set/command.ts'
import type { ReplicatedSet } from '../../../machines/set/replicated-set.ts'
import { capturedItems, DyingItems, differences, digestOfItems } from './dying-items.ts'
import type { MapItem } from './map-item.ts'
import type { Model } from './model.ts'

const NOTHING = '' as ByteString

/** What a `ReplicatedSet` holds. */
export class SetModel<T = string> implements Model<ReplicatedSet<T>> {
  readonly #values: Codec<T>
  readonly #held = new DyingItems()
  /** All elements that were ever there, so that the dead are asked for as well. */
  readonly #known = new Set<ByteString>()

  /** @param values the codec of the set, as its constructor was given it */
  constructor(values: Codec<T> = stringCodec as unknown as Codec<T>) {
    this.#values = values
  }

  get dueMs(): number | undefined {
    return this.#held.dueMs
  }

  apply(bytes: Uint8Array, { timeMs }: Pick<CommandContext, 'timeMs'>): unknown {
    let command: Command
    try {
      command = decodeCommand(bytes)
    } catch (error) {
      if (error instanceof MalformedCommand) return undefined
      throw error
    }
    this.#held.bury(timeMs)
    return this.#execute(command, timeMs)
  }

  digest(timeMs: number): string {
    this.#held.bury(timeMs)
    return digestOfItems(this.#held.sorted)
  }

  digestOf(machine: ReplicatedSet<T>, timeMs: number): string {
    const items = capturedItems(machine)
    const digest = digestOfItems(items)
    const [wrong] = this.#wrongReads(machine, items, timeMs)
    return wrong === undefined ? digest : `${digest}, but ${wrong}`
  }

  sizeOf(machine: ReplicatedSet<T>): number {
    return machine.size
  }

  explain(machine: ReplicatedSet<T>, timeMs: number): string[] {
    this.#held.bury(timeMs)
    const items = capturedItems(machine)
    return [...differences(this.#held.sorted, items), ...this.#wrongReads(machine, items, timeMs)]
  }

  #execute(command: Command, timeMs: number): unknown {
    switch (command.type) {
      case 'add':
        return this.#add(command.element, timeMs, command.ttlMs)
      case 'addMany':
        return command.elements.filter((element) => this.#add(element, timeMs, command.ttlMs)).length
      case 'delete':
        return this.#held.remove(command.element)
      case 'deleteMany':
        return command.elements.filter((element) => this.#held.remove(element)).length
      case 'clear':
        return this.#held.clear()
      case 'persist':
        return this.#held.persist(command.element)
      default:
        return command satisfies never
    }
  }

  #add(element: ByteString, timeMs: number, ttlMs: number | undefined): boolean {
    this.#known.add(element)
    return this.#held.put(element, NOTHING, ttlMs === undefined ? undefined : timeMs + ttlMs)
  }

  /** Every element that was ever there, as the set's readers see it, against its own items. */
  #wrongReads(machine: ReplicatedSet<T>, items: readonly MapItem[], timeMs: number): string[] {
    const lines: string[] = []
    const elements = items.map(({ key }) => key)
    const listed = Array.from(machine, (value) => this.#values.encode(value))
    const backwards = Array.from(machine.range({ reverse: true }), (value) => this.#values.encode(value))
    if (textOf(listed) !== JSON.stringify(elements)) lines.push(`it lists ${textOf(listed)}`)
    if (textOf(backwards.reverse()) !== JSON.stringify(elements)) lines.push('it lists others backwards')
    if (machine.size !== elements.length) lines.push(`its size is ${machine.size}`)
    const deadlines = new Map(items.map(({ key, deadlineMs = Infinity }) => [key, deadlineMs]))
    for (const element of new Set([...this.#known, ...elements])) {
      const value = this.#values.decode(bytesOf(element))
      const deadlineMs = deadlines.get(element)
      const ttlMs = deadlineMs === undefined ? undefined : deadlineMs - timeMs
      if (machine.has(value) !== deadlines.has(element) || machine.ttl(value) !== ttlMs)
        lines.push(`${JSON.stringify(element)} is there for ${machine.ttl(value)} ms, not for ${ttlMs}`)
    }
    return lines
  }
}

function textOf(elements: readonly Uint8Array[]): string {
  return JSON.stringify(elements.map((element) => Buffer.from(element).toString('latin1')))
}
