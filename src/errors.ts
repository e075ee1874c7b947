/**
 * The root of this package's errors. Each class has a `code` and a `name` that never change. Two copies of
 * the package in one program, or errors that crossed a border, have different classes of the same code:
 * compare the code there, and `instanceof` elsewhere.
 *
 * Errors about a value that breaks a limit are a `RangeError` or `TypeError` instead, with a code of their
 * own where they have a class: `KeyTooLarge`, `SnapshotTooLarge`, `Unencodable`.
 */
export abstract class AnchorageError extends Error {
  /** The class's name in capitals, such as `LOG_TRUNCATED`. */
  static readonly code: string = 'ANCHORAGE_ERROR'

  /** The code of the class. It is no field of the error's own, so an error in JSON is what it was without. */
  get code(): string {
    return (this.constructor as typeof AnchorageError).code
  }

  /** A subclass or a library may give an error a code of its own, as it may with any other error. */
  set code(value: string) {
    Object.defineProperty(this, 'code', { value, configurable: true, enumerable: true, writable: true })
  }
}
