import { decodeCommand } from '../../../machine/command.ts'
import type { ReplicatedMap } from '../../../machine/replicated-map.ts'
import type { Model } from './model.ts'

export class MapModel implements Model<ReplicatedMap<string, string>> {
  readonly #entries = new Map<string, { value: string; deadlineMs: number }>()

  apply(bytes: Uint8Array, { timeMs }: { timeMs: number }): unknown {
    const command = decodeCommand(bytes)
    const live = (key: string) => {
      const entry = this.#entries.get(key)
      return entry !== undefined && entry.deadlineMs > timeMs ? entry : undefined
    }
    const set = (key: string, value: string, ttlMs: number | undefined) => {
      const replaced = live(key) !== undefined
      this.#entries.set(key, {
        value,
        deadlineMs: ttlMs === undefined ? Number.POSITIVE_INFINITY : timeMs + ttlMs,
      })
      return replaced
    }
    const remove = (key: string) => {
      const was = live(key) !== undefined
      this.#entries.delete(key)
      return was
    }
    switch (command.type) {
      case 'set':
        return { replaced: set(command.key, command.value, command.ttlMs) }
      case 'delete':
        return remove(command.key)
      case 'setMany': {
        const replaced = command.entries.filter(([key, value]) => set(key, value, command.ttlMs)).length
        return { added: command.entries.length - replaced, replaced }
      }
      case 'deleteMany':
        return command.keys.filter(remove).length
      case 'compareAndSet': {
        const { key, expected, value, ttlMs } = command
        if (live(key)?.value !== expected) return false
        if (value === undefined) remove(key)
        else set(key, value, ttlMs)
        return true
      }
      case 'clear': {
        const count = [...this.#entries.keys()].filter((key) => live(key)).length
        this.#entries.clear()
        return count
      }
      case 'persist': {
        const entry = live(command.key)
        if (entry === undefined || entry.deadlineMs === Number.POSITIVE_INFINITY) return false
        entry.deadlineMs = Number.POSITIVE_INFINITY
        return true
      }
    }
  }

  digest(timeMs: number): string {
    return [...this.#entries]
      .filter(([, { deadlineMs }]) => deadlineMs > timeMs)
      .map(([key, { value, deadlineMs }]) => `${key}=${JSON.parse(value)}/${deadlineMs - timeMs}`)
      .sort()
      .join()
  }

  digestOf(map: ReplicatedMap<string, string>): string {
    return Array.from(map, ([key, value]) => `${key}=${value}/${map.ttl(key)}`)
      .sort()
      .join()
  }
}
