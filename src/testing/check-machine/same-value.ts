import { isDeepStrictEqual } from 'node:util'
import { asError } from '../../thrown.ts'

/** Deeper than this, results are not taken apart. */
const DEPTH_MAX = 8

/** Whether two results are alike. A result may be decoded when it is read, and may fail to, as long as both do. */
export function sameValue(one: unknown, other: unknown): boolean {
  try {
    return isDeepStrictEqual(one, other)
  } catch {
    return isDeepStrictEqual(read(one, DEPTH_MAX), read(other, DEPTH_MAX))
  }
}

/** A value with all that its getters return, or the errors that they throw. */
function read(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null || depth === 0 || ArrayBuffer.isView(value)) return value
  const all: Record<string, unknown> = { kind: value.constructor }
  for (const key of Object.keys(value)) {
    try {
      all[`.${key}`] = read(Reflect.get(value, key), depth - 1)
    } catch (thrown) {
      const { name, message } = asError(thrown)
      all[`.${key}`] = `${name}: ${message}`
    }
  }
  return all
}
