import { encodeOne, encodeSeveral } from '../../src/machines/compose/command.ts'
import type { ListCommands } from '../../src/machines/list/list-commands.ts'
import type { MapCommands } from '../../src/machines/map/map-commands.ts'
import type { QueueCommands } from '../../src/machines/queue/queue-commands.ts'
import type { RegisterCommands } from '../../src/machines/register/register-commands.ts'
import type { SetCommands } from '../../src/machines/set/set-commands.ts'
import type { TimedCommand } from '../../src/testing/index.ts'
import { type Chance, chanceOf } from '../../src/testing/simulation/chance.ts'

/** Commands as writers would make them, each at its time, from a seed. */
export function commandsOf(count: number, make: (chance: Chance) => Uint8Array, seed = 7): TimedCommand[] {
  const chance = chanceOf(seed, 'commands')
  let timeMs = 1_000_000
  return Array.from({ length: count }, () => {
    timeMs += chance.integer(0, 400)
    return { command: make(chance), timeMs }
  })
}

const keyOf = (chance: Chance) => `key-${chance.integer(0, 30)}`
const someValue = (chance: Chance) => ({ n: chance.integer(0, 99), text: 'x'.repeat(chance.integer(0, 40)) })
const ttlOf = (chance: Chance) => (chance.happens(0.4) ? { ttlMs: chance.integer(1, 5_000) } : {})

export function mapCommand(commands: MapCommands<string, unknown>) {
  return (chance: Chance): Uint8Array => {
    const key = keyOf(chance)
    const deed = chance.weighted({ set: 40, delete: 8, many: 8, gone: 4, cas: 10, persist: 6, clear: 1 })
    switch (deed) {
      case 'set':
        return commands.set(key, someValue(chance), ttlOf(chance))
      case 'delete':
        return commands.delete(key)
      case 'many': {
        const entries = Array.from({ length: 5 }, () => [keyOf(chance), someValue(chance)] as const)
        return commands.setMany(entries, ttlOf(chance))
      }
      case 'gone':
        return commands.deleteMany([key, keyOf(chance)])
      case 'cas':
        return commands.compareAndSet(key, undefined, someValue(chance), ttlOf(chance))
      case 'persist':
        return commands.persist(key)
      case 'clear':
        return commands.clear()
      default:
        return deed satisfies never
    }
  }
}

export function setCommand(commands: SetCommands<string>) {
  return (chance: Chance): Uint8Array => {
    const deed = chance.weighted({ add: 30, delete: 8, many: 8, persist: 6, clear: 1 })
    switch (deed) {
      case 'add':
        return commands.add(keyOf(chance), ttlOf(chance))
      case 'delete':
        return commands.delete(keyOf(chance))
      case 'many':
        return commands.addMany([keyOf(chance), keyOf(chance)], ttlOf(chance))
      case 'persist':
        return commands.persist(keyOf(chance))
      case 'clear':
        return commands.clear()
      default:
        return deed satisfies never
    }
  }
}

export function listCommand(commands: ListCommands<string>) {
  return (chance: Chance): Uint8Array => {
    const index = chance.integer(0, 12)
    const value = keyOf(chance)
    const deed = chance.weighted({
      push: 30,
      unshift: 6,
      insert: 8,
      set: 8,
      delete: 8,
      swap: 4,
      pop: 3,
      cut: 1,
    })
    switch (deed) {
      case 'push':
        return chance.happens(0.2) ? commands.pushMany([value, 'b', 'c']) : commands.push(value)
      case 'unshift':
        return commands.unshift(value)
      case 'insert':
        return commands.insert(index, value)
      case 'set':
        return commands.set(index, value)
      case 'delete':
        return commands.delete(index)
      case 'swap':
        return commands.swap(index, chance.integer(0, 12))
      case 'pop':
        return chance.happens(0.5) ? commands.pop() : commands.shift()
      case 'cut':
        return chance.happens(0.5) ? commands.truncate(index) : commands.clear()
      default:
        return deed satisfies never
    }
  }
}

export function queueCommand(commands: QueueCommands<number, string, unknown>) {
  return (chance: Chance): Uint8Array => {
    const key = keyOf(chance)
    const priority = chance.integer(-5, 5)
    const deed = chance.weighted({
      insert: 30,
      extend: 6,
      priority: 6,
      value: 6,
      delete: 6,
      range: 1,
      pop: 10,
    })
    switch (deed) {
      case 'insert':
        return commands.insert(priority, key, someValue(chance), ttlOf(chance))
      case 'extend':
        return commands.extend([
          [priority, key, someValue(chance)],
          [0, keyOf(chance), 1],
        ])
      case 'priority':
        return commands.setPriority(key, priority)
      case 'value':
        return commands.setValue(key, someValue(chance))
      case 'delete':
        return commands.delete(key)
      case 'range':
        return chance.happens(0.7)
          ? commands.deleteRange({ gte: priority, lt: priority + 2 })
          : commands.clear()
      case 'pop':
        return chance.happens(0.3) ? commands.popMany(3, 'max') : commands.popMin()
      default:
        return deed satisfies never
    }
  }
}

export function registerCommand(commands: RegisterCommands<unknown>) {
  return (chance: Chance): Uint8Array => {
    const deed = chance.weighted({ set: 30, cas: 10, persist: 6, clear: 6 })
    switch (deed) {
      case 'set':
        return commands.set(someValue(chance), ttlOf(chance))
      case 'cas':
        return commands.compareAndSet(undefined, someValue(chance), ttlOf(chance))
      case 'persist':
        return commands.persist()
      case 'clear':
        return commands.clear()
      default:
        return deed satisfies never
    }
  }
}

/** One command for one part of a composition, or several for several. Parts are numbered from 1. */
export function composedCommand(makers: readonly ((chance: Chance) => Uint8Array)[]) {
  return (chance: Chance): Uint8Array => {
    const one = () => {
      const part = chance.integer(1, makers.length)
      return encodeOne([part], makers[part - 1]!(chance))
    }
    return chance.happens(0.6) ? one() : encodeSeveral(Array.from({ length: chance.integer(1, 4) }, one))
  }
}
