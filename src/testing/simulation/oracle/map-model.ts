import { type ByteString, byteStringOf, bytesOf } from '../../../machine/byte-string.ts'
import { type Codec, type Json, jsonCodec, stringCodec } from '../../../machine/codec.ts'
import { type CommandContext, MalformedCommand, type StateMachine } from '../../../machine/machine.ts'
import { type Command, decodeCommand } from '../../../machines/map/command.ts'
import type { ReplicatedMap } from '../../../machines/map/replicated-map.ts'
import { hashOfBytes, hashOfText, minus, plus } from './digest.ts'
import { type MapItem, readItem, textOf } from './map-item.ts'
import type { Model } from './model.ts'

/** Every so many digests of a machine, all its reads are compared with its items, too. */
const DIGESTS_PER_AUDIT = 16
/** Keys that an explanation names. */
const EXPLAINED = 10

interface Held extends MapItem {
  readonly hash: number
}

/**
 * What a `ReplicatedMap` holds: a plain `Map`, from which the dead are taken when their time has come. Its
 * digest is a sum of hashes of key, value and deadline, so a command costs what it changes.
 */
export class MapModel<K = string, V = Json> implements Model<ReplicatedMap<K, V>> {
  readonly #keys: Codec<K>
  readonly #values: Codec<V>
  readonly #held = new Map<ByteString, Held>()
  /** All keys that were ever there, so that the dead are asked for as well. */
  readonly #known = new Set<ByteString>()
  readonly #digests = new WeakMap<object, number>()
  #sum = 0
  /** No key dies before this machine time. */
  #nextDeathMs = Number.POSITIVE_INFINITY

  /** @param init the codecs of the map, as its constructor was given them */
  constructor({ keys, values }: { readonly keys?: Codec<K>; readonly values?: Codec<V> } = {}) {
    this.#keys = keys ?? (stringCodec as unknown as Codec<K>)
    this.#values = values ?? jsonCodec<V>()
  }

  get dueMs(): number | undefined {
    const dueMs = Math.min(
      ...Array.from(this.#held.values(), ({ deadlineMs = Number.POSITIVE_INFINITY }) => deadlineMs),
    )
    return Number.isFinite(dueMs) ? dueMs : undefined
  }

  apply(bytes: Uint8Array, { timeMs }: Pick<CommandContext, 'timeMs'>): unknown {
    let command: Command
    try {
      command = decodeCommand(bytes)
    } catch (error) {
      if (error instanceof MalformedCommand) return undefined
      throw error
    }
    this.#bury(timeMs)
    return this.#execute(command, timeMs)
  }

  digest(timeMs: number): string {
    this.#bury(timeMs)
    return digestFrom(this.#held.size, this.#sum)
  }

  digestOf(machine: ReplicatedMap<K, V>, timeMs: number): string {
    const nth = this.#digests.get(machine) ?? 0
    this.#digests.set(machine, nth + 1)
    const snapshot = machine.capture()
    let count = 0
    let sum = 0
    for (const item of snapshot.items()) {
      count++
      sum = plus(sum, hashOfBytes(item))
    }
    snapshot.release()
    const digest = digestFrom(count, sum)
    if (snapshot.size !== count || machine.size !== count) {
      return `${digest}, but a snapshot says ${snapshot.size} items, and the map ${machine.size}`
    }
    if (nth % DIGESTS_PER_AUDIT > 0) return digest
    const [wrong] = this.#wrongReads(machine, timeMs)
    return wrong === undefined ? digest : `${digest}, but ${wrong}`
  }

  sizeOf(machine: ReplicatedMap<K, V>): number {
    return machine.size
  }

  explain(machine: ReplicatedMap<K, V>, timeMs: number): string[] {
    this.#bury(timeMs)
    const found = itemsOf(machine)
    const keys = [...new Set([...this.#held.keys(), ...found.keys()])].sort()
    const lines: string[] = []
    for (const key of keys) {
      const [expected, has] = [this.#held.get(key), found.get(key)]
      if (expected?.value === has?.value && expected?.deadlineMs === has?.deadlineMs) continue
      lines.push(`${shown(key)}: expected ${described(expected, timeMs)}, found ${described(has, timeMs)}`)
    }
    if (machine.size !== this.#held.size) {
      lines.unshift(`size: expected ${this.#held.size}, found ${machine.size}`)
    }
    lines.push(...this.#wrongReads(machine, timeMs))
    const more = lines.length - EXPLAINED
    return more > 0 ? [...lines.slice(0, EXPLAINED), `and ${more} more`] : lines
  }

  #execute(command: Command, timeMs: number): unknown {
    switch (command.type) {
      case 'set': {
        const { key, value, ttlMs } = command
        return { replaced: this.#put(key, byteStringOf(value), deadline(timeMs, ttlMs)) }
      }
      case 'setMany': {
        const { entries, ttlMs } = command
        const replaced = entries.filter(([key, value]) =>
          this.#put(key, byteStringOf(value), deadline(timeMs, ttlMs)),
        )
        return { added: entries.length - replaced.length, replaced: replaced.length }
      }
      case 'delete':
        return this.#remove(command.key)
      case 'deleteMany':
        return command.keys.filter((key) => this.#remove(key)).length
      case 'compareAndSet': {
        const { key, expected, value, ttlMs } = command
        if (this.#held.get(key)?.value !== (expected && byteStringOf(expected))) return false
        if (value === undefined) this.#remove(key)
        else this.#put(key, byteStringOf(value), deadline(timeMs, ttlMs))
        return true
      }
      case 'clear': {
        const { size } = this.#held
        for (const key of [...this.#held.keys()]) this.#remove(key)
        return size
      }
      case 'persist': {
        const held = this.#held.get(command.key)
        if (held?.deadlineMs === undefined) return false
        this.#put(command.key, held.value, undefined)
        return true
      }
      default:
        return command satisfies never
    }
  }

  /** Whether the key was there. */
  #put(key: ByteString, value: ByteString, deadlineMs: number | undefined): boolean {
    const wasThere = this.#remove(key)
    const item = { key, value, deadlineMs }
    const hash = hashOfText(textOf(item))
    this.#held.set(key, { ...item, hash })
    this.#known.add(key)
    this.#sum = plus(this.#sum, hash)
    if (deadlineMs !== undefined) this.#nextDeathMs = Math.min(this.#nextDeathMs, deadlineMs)
    return wasThere
  }

  #remove(key: ByteString): boolean {
    const held = this.#held.get(key)
    if (held === undefined) return false
    this.#held.delete(key)
    this.#sum = minus(this.#sum, held.hash)
    return true
  }

  /** Remove the keys whose deadline has come. */
  #bury(timeMs: number): void {
    if (timeMs < this.#nextDeathMs) return
    let nextMs = Number.POSITIVE_INFINITY
    for (const { key, deadlineMs = Number.POSITIVE_INFINITY } of [...this.#held.values()]) {
      if (deadlineMs <= timeMs) this.#remove(key)
      else nextMs = Math.min(nextMs, deadlineMs)
    }
    this.#nextDeathMs = nextMs
  }

  /** Every key that was ever there, as the map's readers see it, against its own items. */
  #wrongReads(machine: ReplicatedMap<K, V>, timeMs: number): string[] {
    const items = itemsOf(machine)
    const lines: string[] = []
    for (const key of new Set([...this.#known, ...items.keys()])) {
      const item = items.get(key)
      const expected = this.#reading(item, timeMs)
      const decoded = attempt(() => this.#keys.decode(bytesOf(key)))
      if (decoded === undefined || expected === undefined) continue
      const found = this.#read(machine, decoded)
      if (found !== expected) lines.push(`${shown(key)} reads as ${found}, not as ${expected}`)
    }
    const iterated = attempt(() => [...machine.keys()].length)
    if (iterated !== undefined && iterated !== items.size) {
      lines.push(`it lists ${iterated} keys, not ${items.size}`)
    }
    return lines
  }

  /** What the map must say of a key. Undefined if its value is one that the codec cannot read. */
  #reading(item: MapItem | undefined, timeMs: number): string | undefined {
    if (item === undefined) return 'absent'
    const value = attempt(() => this.#values.encode(this.#values.decode(bytesOf(item.value))))
    if (value === undefined) return undefined
    return inWords(byteStringOf(value), (item.deadlineMs ?? Number.POSITIVE_INFINITY) - timeMs)
  }

  #read(machine: ReplicatedMap<K, V>, key: K): string {
    const value = machine.get(key)
    const ttlMs = machine.ttl(key)
    if (value === undefined && ttlMs === undefined && !machine.has(key)) return 'absent'
    if (value === undefined || ttlMs === undefined || !machine.has(key)) return 'half there'
    return inWords(byteStringOf(this.#values.encode(value)), ttlMs)
  }
}

function deadline(timeMs: number, ttlMs: number | undefined): number | undefined {
  return ttlMs === undefined ? undefined : timeMs + ttlMs
}

function digestFrom(count: number, sum: number): string {
  return `${count} items, ${sum}`
}

function itemsOf(machine: Pick<StateMachine, 'capture' | 'signature'>): Map<ByteString, MapItem> {
  const snapshot = machine.capture(machine.signature)
  const items = new Map(Array.from(snapshot.items(), readItem).map((item) => [item.key, item]))
  snapshot.release()
  return items
}

function described(item: MapItem | undefined, timeMs: number): string {
  return item === undefined
    ? 'nothing'
    : inWords(item.value, (item.deadlineMs ?? Number.POSITIVE_INFINITY) - timeMs)
}

function inWords(value: ByteString, ttlMs: number): string {
  return ttlMs === Number.POSITIVE_INFINITY ? shown(value) : `${shown(value)} for ${ttlMs} ms more`
}

/** The bytes as a JSON string, its first 60 at most. */
function shown(text: string): string {
  return text.length <= 60
    ? JSON.stringify(text)
    : `${JSON.stringify(text.slice(0, 60))}… (${text.length} bytes)`
}

/** Undefined if it throws: some bytes that are stored cannot be decoded, and then nobody can read them. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined
  }
}
