import { sameBytes } from '../../bytes.ts'
import type { ByteString } from '../../machine/byte-string.ts'
import { keyRangeOf } from '../range.ts'
import { type Command, decodeCommand, type NewItem } from './command.ts'
import { bracketOf } from './place.ts'
import type { QueueChange } from './queue-change.ts'
import type { QueueCodecs } from './queue-codecs.ts'
import { type QueueItem, TakenItem } from './queue-item.ts'
import { type QueueEnd, QueueItems } from './queue-items.ts'
import type { QueueParts } from './queue-parts.ts'

/** What an insertion into a queue did. */
export interface InsertResult {
  /** Whether there was an item with this key before. */
  readonly replaced: boolean
}

/** What an insertion of several items into a queue did. */
export interface ExtendResult {
  /** How many keys had no item before. */
  readonly added: number
  /** How many items were replaced. */
  readonly replaced: number
}

/** What `apply` returns; the method that wrote the command says which. */
export type QueueResult<P, K, V> =
  | InsertResult
  | ExtendResult
  | QueueItem<P, K, V>
  | readonly QueueItem<P, K, V>[]
  | boolean
  | number
  | undefined

const ADDED: InsertResult = Object.freeze({ replaced: false })
const REPLACED: InsertResult = Object.freeze({ replaced: true })

/** A queue's items, and what its commands do to them. */
export class QueueState<P, K, V> {
  readonly items = new QueueItems((item) => this.#expired(item))
  readonly #codecs: QueueCodecs<P, K, V>
  readonly #tell: (change: QueueChange<P, K, V>) => void
  /** Takes the changes of the command that is being applied. */
  #changes: QueueChange<P, K, V>[] | undefined

  /** @param tell called when an item was removed between two commands, because it is dead */
  constructor(codecs: QueueCodecs<P, K, V>, tell: (change: QueueChange<P, K, V>) => void) {
    this.#codecs = codecs
    this.#tell = tell
  }

  /**
   * Obey a command.
   *
   * @param changes takes what changed; undefined if nobody listens
   * @throws {MalformedCommand} before anything is changed
   */
  execute(bytes: Uint8Array, changes: QueueChange<P, K, V>[] | undefined): QueueResult<P, K, V> {
    const command = decodeCommand(bytes)
    this.#changes = changes
    try {
      return this.#obey(command)
    } finally {
      this.#changes = undefined
    }
  }

  #obey(command: Command): QueueResult<P, K, V> {
    switch (command.type) {
      case 'insert':
        return this.#insert(command, command.ttlMs) ? REPLACED : ADDED
      case 'extend': {
        const { items, ttlMs } = command
        let replaced = 0
        for (const item of items) if (this.#insert(item, ttlMs)) replaced++
        return { added: items.length - replaced, replaced }
      }
      case 'setPriority':
        return this.#setPriority(command.key, command.priority)
      case 'setValue':
        return this.#setValue(command.key, command.value)
      case 'compareAndSet': {
        const found = this.items.find(command.key)
        if (found === undefined || !sameBytes(found.value, command.expected)) return false
        if (command.value === undefined) this.#remove('delete', found)
        else this.#setValue(command.key, command.value)
        return true
      }
      case 'delete': {
        const found = this.items.find(command.key)
        if (found !== undefined) this.#remove('delete', found)
        return found !== undefined
      }
      case 'deleteRange': {
        const range = keyRangeOf(command.bounds, bracketOf)
        return this.items.removeRange(range, (parts) => this.#remove('delete', parts))
      }
      case 'clear': {
        const size = this.items.clear()
        if (size > 0) this.#changes?.push({ type: 'clear' })
        return size
      }
      case 'pop':
        return this.#pop(command.end)
      case 'popMany': {
        const taken: QueueItem<P, K, V>[] = []
        while (taken.length < command.count) {
          const item = this.#pop(command.end)
          if (item === undefined) break
          taken.push(item)
        }
        return taken
      }
      default:
        return command satisfies never
    }
  }

  /** Whether there was an item with its key. */
  #insert({ priority, key, value }: NewItem, ttlMs: number | undefined): boolean {
    const previous = this.items.find(key)
    const wasThere = previous !== undefined
    const taken = this.#changes && previous && this.#taken(previous)
    this.items.put(bracketOf(priority), key, value, ttlMs)
    this.#changes?.push({ type: 'insert', item: this.#taken(this.items.find(key)!), previous: taken })
    return wasThere
  }

  #setPriority(key: ByteString, priority: ByteString): boolean {
    const found = this.items.find(key)
    if (found === undefined) return false
    const bracket = bracketOf(priority)
    if (!found.isIn(bracket)) this.#update(key, found, () => this.items.move(key, bracket))
    return true
  }

  #setValue(key: ByteString, value: Uint8Array): boolean {
    const found = this.items.find(key)
    if (found === undefined) return false
    this.#update(key, found, () => this.items.replaceValue(value))
    return true
  }

  #update(key: ByteString, found: QueueParts, change: () => void): void {
    const previous = this.#changes && this.#taken(found)
    change()
    if (previous === undefined) return
    this.#changes?.push({ type: 'update', item: this.#taken(this.items.find(key)!), previous })
  }

  /** Remove the item that was found last. */
  #remove(type: 'delete', found: QueueParts): void {
    this.#changes?.push({ type, item: this.#taken(found) })
    this.items.remove(found.key)
  }

  #pop(end: QueueEnd): QueueItem<P, K, V> | undefined {
    const found = this.items.first(end)
    if (found === undefined) return undefined
    const item = this.#taken(found)
    this.items.remove(found.key)
    this.#changes?.push({ type: 'pop', item })
    return item
  }

  /** A dead item was removed from memory: by a command that meets it, or some time after its death. */
  #expired(item: ByteString): void {
    const change = { type: 'expire', item: new TakenItem(this.#codecs, item) } as const
    if (this.#changes !== undefined) this.#changes.push(change)
    else this.#tell(change)
  }

  #taken(parts: QueueParts): QueueItem<P, K, V> {
    return new TakenItem(this.#codecs, parts.copy())
  }
}
