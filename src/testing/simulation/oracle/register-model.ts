import { type ByteString, byteStringOf } from '../../../machine/byte-string.ts'
import { type Codec, type Json, jsonCodec } from '../../../machine/codec.ts'
import { type CommandContext, MalformedCommand } from '../../../machine/machine.ts'
import { type Command, decodeCommand } from '../../../machines/register/command.ts'
import type { ReplicatedRegister } from '../../../machines/register/replicated-register.ts'
import { capturedItems, DyingItems, differences, digestOfItems } from './dying-items.ts'
import type { MapItem } from './map-item.ts'
import type { Model } from './model.ts'

const KEY = '' as ByteString

/** What a `ReplicatedRegister` holds. */
export class RegisterModel<T = Json> implements Model<ReplicatedRegister<T>> {
  readonly #values: Codec<T>
  readonly #held = new DyingItems()

  /** @param values the codec of the register, as its constructor was given it */
  constructor(values: Codec<T> = jsonCodec<T>()) {
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

  digestOf(machine: ReplicatedRegister<T>, timeMs: number): string {
    const items = capturedItems(machine)
    const digest = digestOfItems(items)
    const wrong = this.#wrongRead(machine, items, timeMs)
    return wrong === undefined ? digest : `${digest}, but ${wrong}`
  }

  explain(machine: ReplicatedRegister<T>, timeMs: number): string[] {
    this.#held.bury(timeMs)
    const items = capturedItems(machine)
    return [...differences(this.#held.sorted, items), this.#wrongRead(machine, items, timeMs) ?? []].flat()
  }

  #execute(command: Command, timeMs: number): unknown {
    switch (command.type) {
      case 'set':
        return { replaced: !this.#put(command.value, timeMs, command.ttlMs) }
      case 'compareAndSet': {
        const { expected, value, ttlMs } = command
        if (this.#held.get(KEY)?.value !== (expected && byteStringOf(expected))) return false
        if (value === undefined) this.#held.clear()
        else this.#put(value, timeMs, ttlMs)
        return true
      }
      case 'clear':
        return this.#held.remove(KEY)
      case 'persist':
        return this.#held.persist(KEY)
      default:
        return command satisfies never
    }
  }

  #put(value: Uint8Array, timeMs: number, ttlMs: number | undefined): boolean {
    return this.#held.put(KEY, byteStringOf(value), ttlMs === undefined ? undefined : timeMs + ttlMs)
  }

  /** The register as its readers see it, against its own items. */
  #wrongRead(machine: ReplicatedRegister<T>, items: readonly MapItem[], timeMs: number): string | undefined {
    const [item] = items
    const value = machine.get()
    const found = value === undefined ? undefined : byteStringOf(this.#values.encode(value))
    const ttlMs = item && (item.deadlineMs ?? Infinity) - timeMs
    const isRight = items.length <= 1 && machine.isSet === (item !== undefined)
    if (isRight && found === item?.value && machine.ttl() === ttlMs) return undefined
    return `it reads as ${found} for ${machine.ttl()} ms, not as ${item?.value} for ${ttlMs} ms`
  }
}
