import { type ByteString, byteStringOf, bytesOf } from '../../../machine/byte-string.ts'
import { type Codec, type Json, jsonCodec } from '../../../machine/codec.ts'
import { type CommandContext, MalformedCommand } from '../../../machine/machine.ts'
import { valueOfCommand } from '../../../machines/once/once-commands.ts'
import type { ReplicatedOnce } from '../../../machines/once/replicated-once.ts'
import { uvarint } from './map-item.ts'
import type { Model } from './model.ts'

/** What a `ReplicatedOnce` holds: the first that was ever set. */
export class OnceModel<T = Json> implements Model<ReplicatedOnce<T>> {
  readonly #values: Codec<T>
  #first: { readonly value: ByteString; readonly item: string } | undefined

  /** @param values the codec of the machine, as its constructor was given it */
  constructor(values: Codec<T> = jsonCodec<T>()) {
    this.#values = values
  }

  apply(bytes: Uint8Array, { position: { epoch, index } }: Pick<CommandContext, 'position'>): unknown {
    let value: ByteString
    try {
      value = byteStringOf(valueOfCommand(bytes))
    } catch (error) {
      if (error instanceof MalformedCommand) return undefined
      throw error
    }
    const won = this.#first === undefined
    const epochBytes = byteStringOf(Buffer.from(epoch))
    this.#first ??= { value, item: uvarint(index) + uvarint(epochBytes.length) + epochBytes + value }
    return { won, value: this.#values.decode(bytesOf(this.#first.value)) }
  }

  digest(): string {
    return this.#first?.item ?? 'nothing'
  }

  digestOf(machine: ReplicatedOnce<T>): string {
    const snapshot = machine.capture()
    const items = Array.from(snapshot.items(), (item) => byteStringOf(item))
    snapshot.release()
    const value = machine.get()
    const read = value === undefined ? '' : byteStringOf(this.#values.encode(value))
    const isRight = items.length === 0 ? value === undefined : items[0]!.endsWith(read)
    if (isRight && machine.isSet === (value !== undefined) && items.length === snapshot.size)
      return items.join() || 'nothing'
    return `${items.join()}, but it reads as ${read}`
  }
}
