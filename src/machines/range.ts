import type { ByteString } from '../machine/byte-string.ts'
import type { KeyRange } from './expiring-items.ts'

/** What is between two bounds, or up to a number of them, in the order of the encoded bytes. */
export interface Range<T> {
  /** From this one on, itself included. */
  readonly gte?: T | undefined
  /** After this one. */
  readonly gt?: T | undefined
  /** Up to this one, itself included. */
  readonly lte?: T | undefined
  /** Before this one. */
  readonly lt?: T | undefined
  /** Last one first. Default: false. */
  readonly reverse?: boolean | undefined
  /** The most to read, an integer from 0. Default: no limit. */
  readonly limit?: number | undefined
}

/** @throws {RangeError} for a limit that is no integer from 0, and what `encode` throws. */
export function keyRangeOf<T>(range: Range<T>, encode: (bound: T) => ByteString): KeyRange {
  const { gte, gt, lte, lt, reverse, limit } = range
  if (limit !== undefined && !(Number.isInteger(limit) && limit >= 0)) {
    throw new RangeError(`limit is ${limit}; give an integer from 0, or leave it out`)
  }
  const bound = (value: T | undefined) => (value === undefined ? undefined : encode(value))
  return { gte: bound(gte), gt: bound(gt), lte: bound(lte), lt: bound(lt), reverse, limit }
}
