import { type Codec, decodeBytes } from '../../machine/codec.ts'

/**
 * One change of a list. Whoever makes the changes to an array of their own, in order, has what the list has.
 * Values are decoded anew each time they are read; reading one that the codec cannot decode throws `Undecodable`.
 */
export type ListChange<T> =
  /** What stood at the index, and all after it, moved up by one. */
  | { readonly type: 'insert'; readonly index: number; readonly value: T }
  | { readonly type: 'set'; readonly index: number; readonly value: T; readonly previous: T }
  /** All that stood after the index moved down by one. */
  | { readonly type: 'delete'; readonly index: number; readonly previous: T }
  /** Two items changed places. The values are what now stands at each index. */
  | {
      readonly type: 'swap'
      readonly index: number
      readonly value: T
      readonly other: number
      readonly otherValue: T
    }
  /** The items from the index `length` on, which were `deleted` many, are gone. */
  | { readonly type: 'truncate'; readonly length: number; readonly deleted: number }
  | { readonly type: 'clear' }

/** A value that a command took out of a list, or replaced. It is decoded each time it is read. */
export interface Taken<T> {
  readonly value: T
}

/** Makes what a list tells, of bytes that may be kept. */
export class ListChanges<T> {
  readonly #values: Codec<T>

  constructor(values: Codec<T>) {
    this.#values = values
  }

  taken(bytes: Uint8Array): Taken<T> {
    const decode = this.#decoder(bytes)
    return {
      get value() {
        return decode()
      },
    }
  }

  insert(index: number, bytes: Uint8Array): ListChange<T> {
    const decode = this.#decoder(bytes)
    return {
      type: 'insert',
      index,
      get value() {
        return decode()
      },
    }
  }

  set(index: number, bytes: Uint8Array, previous: Uint8Array): ListChange<T> {
    const [decode, decodePrevious] = [this.#decoder(bytes), this.#decoder(previous)]
    return {
      type: 'set',
      index,
      get value() {
        return decode()
      },
      get previous() {
        return decodePrevious()
      },
    }
  }

  delete(index: number, previous: Uint8Array): ListChange<T> {
    const decodePrevious = this.#decoder(previous)
    return {
      type: 'delete',
      index,
      get previous() {
        return decodePrevious()
      },
    }
  }

  swap(index: number, bytes: Uint8Array, other: number, otherBytes: Uint8Array): ListChange<T> {
    const [decode, decodeOther] = [this.#decoder(bytes), this.#decoder(otherBytes)]
    return {
      type: 'swap',
      index,
      get value() {
        return decode()
      },
      other,
      get otherValue() {
        return decodeOther()
      },
    }
  }

  #decoder(bytes: Uint8Array): () => T {
    return () => decodeBytes(this.#values, 'value', bytes)
  }
}
