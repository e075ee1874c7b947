import { sameBytes } from '../../bytes.ts'
import type { Installation, Snapshot } from '../../machine/machine.ts'
import { TreeInstallation, TreeSnapshot } from '../state-items.ts'
import { PackedTree } from '../tree/packed-tree.ts'
import type { ListChange, ListChanges, Taken } from './changes.ts'
import type { Command } from './command.ts'
import { IndexOutOfRange } from './errors.ts'

/** What `apply` returns; the method that wrote the command says which. A write rejects with an `IndexOutOfRange`. */
export type ListResult<T> = number | boolean | Taken<T> | IndexOutOfRange | undefined

/** Takes the changes that a command makes; undefined if nobody listens. */
type Into<T> = ListChange<T>[] | undefined

/** The items of a list, and what each command does to them. An item is the bytes of a value alone. */
export class ListItems<T> {
  readonly #changes: ListChanges<T>
  #tree = new PackedTree('places')

  constructor(changes: ListChanges<T>) {
    this.#changes = changes
  }

  get tree(): PackedTree {
    return this.#tree
  }

  capture(): Snapshot {
    return new TreeSnapshot(this.#tree)
  }

  /** @param onReplaced called with the new length */
  install(onReplaced: (length: number) => void): Installation {
    return new TreeInstallation((tree) => {
      this.#tree = tree
      onReplaced(tree.size)
    })
  }

  obey(command: Command, into: Into<T>): ListResult<T> {
    const { size } = this.#tree
    switch (command.type) {
      case 'push':
        for (const value of command.values) this.#insert(this.#tree.size, value, into)
        return this.#tree.size
      case 'insert': {
        const { index, value } = command
        return index > size ? new IndexOutOfRange(index, size) : this.#insert(index, value, into)
      }
      case 'set':
        return this.#refusal(command.index) ?? this.#set(command.index, command.value, into)
      case 'delete':
        return this.#refusal(command.index) ?? this.#delete(command.index, into)
      case 'swap': {
        const { index, other } = command
        return this.#refusal(index) ?? this.#refusal(other) ?? this.#swap(index, other, into)
      }
      case 'pop':
        return size === 0 ? undefined : this.#delete(size - 1, into)
      case 'shift':
        return size === 0 ? undefined : this.#delete(0, into)
      case 'truncate':
        return this.#truncate(command.length, into)
      case 'clear':
        return this.#clear(into)
      case 'compareAndSet': {
        const { index, expected, value } = command
        if (!this.#holds(index, expected)) return false
        if (value === undefined) this.#delete(index, into)
        else this.#set(index, value, into)
        return true
      }
      case 'compareAndInsert': {
        const { index, expected, value } = command
        if (expected === undefined ? index !== size : !this.#holds(index, expected)) return false
        this.#insert(index, value, into)
        return true
      }
      default:
        return command satisfies never
    }
  }

  /** The new length. */
  #insert(index: number, value: Uint8Array, into: Into<T>): number {
    this.#tree.seekAt(index)
    this.#tree.insert(value)
    into?.push(this.#changes.insert(index, new Uint8Array(value)))
    return this.#tree.size
  }

  #set(index: number, value: Uint8Array, into: Into<T>): Taken<T> {
    const previous = this.#copyOf(index)
    this.#tree.replace(value)
    into?.push(this.#changes.set(index, new Uint8Array(value), previous))
    return this.#changes.taken(previous)
  }

  #delete(index: number, into: Into<T>): Taken<T> {
    const previous = this.#copyOf(index)
    this.#tree.remove()
    into?.push(this.#changes.delete(index, previous))
    return this.#changes.taken(previous)
  }

  #swap(index: number, other: number, into: Into<T>): boolean {
    if (index === other) return false
    const [value, otherValue] = [this.#copyOf(index), this.#copyOf(other)]
    this.#tree.replace(value)
    this.#tree.seekAt(index)
    this.#tree.replace(otherValue)
    into?.push(this.#changes.swap(index, otherValue, other, value))
    return true
  }

  /** How many were removed. */
  #truncate(length: number, into: Into<T>): number {
    const deleted = this.#tree.size - length
    if (deleted <= 0) return 0
    this.#tree.truncate(length)
    into?.push({ type: 'truncate', length, deleted })
    return deleted
  }

  /** How many were removed. */
  #clear(into: Into<T>): number {
    const { size } = this.#tree
    this.#tree.clear()
    if (size > 0) into?.push({ type: 'clear' })
    return size
  }

  #refusal(index: number): IndexOutOfRange | undefined {
    return index < this.#tree.size ? undefined : new IndexOutOfRange(index, this.#tree.size)
  }

  #holds(index: number, expected: Uint8Array): boolean {
    if (index >= this.#tree.size) return false
    this.#tree.seekAt(index)
    return sameBytes(this.#tree.item(), expected)
  }

  /** The item at an index, to which the tree's cursor is set. */
  #copyOf(index: number): Uint8Array {
    this.#tree.seekAt(index)
    return new Uint8Array(this.#tree.item())
  }
}
