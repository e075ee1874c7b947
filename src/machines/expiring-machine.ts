import { sameBytes } from '../bytes.ts'
import type { ByteString } from '../machine/byte-string.ts'
import type { Installation, Snapshot, Transaction } from '../machine/machine.ts'
import { ExpiringItems } from './expiring-items.ts'
import { Replicated } from './replicated.ts'

/** What the machines have in common that keep everything in one `ExpiringItems`. */
export abstract class ExpiringMachine<Change, Result> extends Replicated<Change, Result> {
  protected readonly items = new ExpiringItems((key, value) => this.#expired(key, value))
  /** Takes the changes of the command that is being applied. */
  #changes: Change[] | undefined

  /** Called by the replica, when machine time moved on. */
  advance(timeMs: number): void {
    this.items.advance(timeMs)
  }

  /** The machine time at which something dies next, or an earlier time; undefined if nothing ever does. */
  get dueMs(): number | undefined {
    return this.items.dueMs
  }

  /** Called by the replica. */
  capture(): Snapshot {
    return this.items.capture()
  }

  /** Called by the replica. */
  install(): Installation {
    return this.items.install((size) => this.tellReset(size))
  }

  protected override get undoable(): readonly Transaction[] {
    return [this.items]
  }

  protected execute(command: Uint8Array, changes: Change[] | undefined): Result {
    this.#changes = changes
    try {
      return this.obey(command)
    } finally {
      this.#changes = undefined
    }
  }

  /**
   * Decode a command and obey it.
   *
   * @throws {MalformedCommand} before anything is changed
   */
  protected abstract obey(command: Uint8Array): Result

  /** The change that tells of an item's death. `value` is a copy. */
  protected abstract expiry(key: ByteString, value: Uint8Array): Change

  /** Whether a living key has this value; `undefined` stands for its absence. */
  protected holds(key: ByteString, expected: Uint8Array | undefined): boolean {
    const value = this.items.get(key)
    return value === undefined || expected === undefined ? value === expected : sameBytes(value, expected)
  }

  /** Whether somebody listens to the changes of the command that is being applied. */
  protected get isHeard(): boolean {
    return this.#changes !== undefined
  }

  /** Tell of a change once the whole command is applied. */
  protected note(change: Change): void {
    this.#changes?.push(change)
  }

  /** A dead item was removed from memory: by a command that meets it, or some time after its death. */
  #expired(key: ByteString, value: Uint8Array): void {
    if (this.#changes !== undefined) this.note(this.expiry(key, value))
    else if (this.listenerCount('change') > 0) this.tell(this.expiry(key, value))
  }
}
