import { type Command, decodeCommand } from '../../../machine/command.ts'
import { MalformedCommand } from '../../../machine/machine.ts'
import type { ReplicatedMap } from '../../../machine/replicated-map.ts'
import type { Model } from './model.ts'

interface Entry {
  /** As the log has it: the value's JSON. */
  readonly value: string
  /** Machine time at which the key dies; `Infinity` for one that does not. */
  readonly deadlineMs: number
}

/**
 * What a `ReplicatedMap` of texts must hold: a plain `Map`, whose dead keys are dropped as soon as time passes. Its
 * digest is the sum of a hash of each entry, so that it costs what changed, and not what is there.
 */
export class MapModel implements Model<ReplicatedMap<string, string>> {
  readonly #entries = new Map<string, Entry>()
  /** Keys by when they die, the earliest first. */
  #dying: { readonly key: string; readonly deadlineMs: number }[] = []
  #sum = 0n

  apply(bytes: Uint8Array, { timeMs }: { timeMs: number }): unknown {
    this.#bury(timeMs)
    let command: Command
    try {
      command = decodeCommand(bytes)
    } catch (error) {
      if (error instanceof MalformedCommand) return undefined
      throw error
    }
    switch (command.type) {
      case 'set':
        return { replaced: this.#set(command.key, command.value, command.ttlMs, timeMs) }
      case 'delete':
        return this.#delete(command.key)
      case 'setMany': {
        const { entries, ttlMs } = command
        const replaced = entries.filter(([key, value]) => this.#set(key, value, ttlMs, timeMs)).length
        return { added: entries.length - replaced, replaced }
      }
      case 'deleteMany':
        return command.keys.filter((key) => this.#delete(key)).length
      case 'compareAndSet': {
        const { key, expected, value, ttlMs } = command
        if (this.#entries.get(key)?.value !== expected) return false
        if (value === undefined) this.#delete(key)
        else this.#set(key, value, ttlMs, timeMs)
        return true
      }
      case 'clear': {
        const keys = [...this.#entries.keys()]
        for (const key of keys) this.#delete(key)
        return keys.length
      }
      case 'persist': {
        const entry = this.#entries.get(command.key)
        if (entry === undefined || entry.deadlineMs === Number.POSITIVE_INFINITY) return false
        this.#set(command.key, entry.value, undefined, timeMs)
        return true
      }
      default:
        return command satisfies never
    }
  }

  digest(timeMs: number): string {
    this.#bury(timeMs)
    return `${this.#entries.size}/${this.#sum.toString(36)}`
  }

  digestOf(map: ReplicatedMap<string, string>, timeMs: number): string {
    let sum = 0n
    let size = 0
    for (const [key, value] of map) {
      sum += hashOf(key, JSON.stringify(value), timeMs + (map.ttl(key) ?? Number.NaN))
      size++
    }
    return `${size}/${(sum % MODULUS).toString(36)}`
  }

  sizeOf(map: ReplicatedMap<string, string>): number {
    return map.size
  }

  /** Whether the key had a value. */
  #set(key: string, value: string, ttlMs: number | undefined, timeMs: number): boolean {
    const had = this.#delete(key)
    const deadlineMs = ttlMs === undefined ? Number.POSITIVE_INFINITY : timeMs + ttlMs
    this.#entries.set(key, { value, deadlineMs })
    this.#add(hashOf(key, value, deadlineMs))
    if (ttlMs !== undefined) {
      this.#dying.push({ key, deadlineMs })
      this.#dying.sort((a, b) => a.deadlineMs - b.deadlineMs)
    }
    return had
  }

  /** Whether the key had a value. */
  #delete(key: string): boolean {
    const entry = this.#entries.get(key)
    if (entry === undefined) return false
    this.#entries.delete(key)
    this.#add(-hashOf(key, entry.value, entry.deadlineMs))
    return true
  }

  /** What has died by then is not there any more. */
  #bury(timeMs: number): void {
    while (this.#dying.length > 0 && this.#dying[0]!.deadlineMs <= timeMs) {
      const { key, deadlineMs } = this.#dying.shift()!
      // It may have been written again since.
      if (this.#entries.get(key)?.deadlineMs === deadlineMs) this.#delete(key)
    }
  }

  #add(hash: bigint): void {
    this.#sum = (this.#sum + hash + MODULUS) % MODULUS
  }
}

const MODULUS = 2n ** 64n

/** 64 bits of an entry, from two passes of FNV-1a (see `chance.ts`) that begin differently. */
function hashOf(key: string, value: string, deadlineMs: number): bigint {
  const text = `${key}=${value}/${deadlineMs}`
  let low = 0x811c9dc5
  let high = 0x01000193
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    low = Math.imul(low ^ code, 0x01000193)
    high = Math.imul(high ^ code, 0x85ebca6b)
  }
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0)
}
