import type { ByteString } from '../../../machine/byte-string.ts'
import type { StateMachine } from '../../../machine/machine.ts'
import { chained, hashOfText } from './digest.ts'
import { type MapItem, readItem, textOf } from './map-item.ts'

/** Items by their keys, in a plain `Map`, from which the dead are taken when their time has come. */
export class DyingItems {
  readonly #items = new Map<ByteString, MapItem>()

  get size(): number {
    return this.#items.size
  }

  /** When the next one dies. */
  get dueMs(): number | undefined {
    const deadlines = Array.from(this.#items.values(), ({ deadlineMs }) => deadlineMs ?? [])
    return deadlines.flat().sort((a, b) => a - b)[0]
  }

  /** In the order of their keys. */
  get sorted(): MapItem[] {
    return [...this.#items.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
  }

  get(key: ByteString): MapItem | undefined {
    return this.#items.get(key)
  }

  /** Whether the key is new. */
  put(key: ByteString, value: ByteString, deadlineMs: number | undefined): boolean {
    const isNew = !this.#items.has(key)
    this.#items.set(key, { key, value, deadlineMs })
    return isNew
  }

  /** Whether it was there. */
  remove(key: ByteString): boolean {
    return this.#items.delete(key)
  }

  /** Whether it had a deadline. */
  persist(key: ByteString): boolean {
    const item = this.#items.get(key)
    if (item?.deadlineMs === undefined) return false
    this.put(key, item.value, undefined)
    return true
  }

  /** How many there were. */
  clear(): number {
    const { size } = this.#items
    this.#items.clear()
    return size
  }

  /** Remove those whose time has come. */
  bury(timeMs: number): void {
    for (const { key, deadlineMs } of [...this.#items.values()])
      if (deadlineMs !== undefined && deadlineMs <= timeMs) this.#items.delete(key)
  }
}

/** The items of a machine's snapshot, in their order. */
export function capturedItems(machine: StateMachine): MapItem[] {
  const snapshot = machine.capture(machine.signature)
  const items = Array.from(snapshot.items(), readItem)
  snapshot.release()
  return items
}

export function digestOfItems(items: readonly MapItem[]): string {
  return `${items.length} items, ${items.reduce((hash, item) => chained(hash, hashOfText(textOf(item))), 0)}`
}

/** How two states differ, a line each. */
export function differences(expected: readonly MapItem[], found: readonly MapItem[]): string[] {
  const lines: string[] = []
  const [one, other] = [byKey(expected), byKey(found)]
  for (const key of [...new Set([...one.keys(), ...other.keys()])].sort()) {
    if (one.get(key) === other.get(key)) continue
    lines.push(
      `${JSON.stringify(key)}: expected ${one.get(key) ?? 'nothing'}, found ${other.get(key) ?? 'nothing'}`,
    )
  }
  return lines
}

function byKey(items: readonly MapItem[]): Map<string, string> {
  return new Map(
    items.map(({ key, value, deadlineMs }) => [key, `${JSON.stringify(value)} until ${deadlineMs}`]),
  )
}
