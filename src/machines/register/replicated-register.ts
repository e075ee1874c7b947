import { type ByteString, byteStringOf } from '../../machine/byte-string.ts'
import { type Codec, decodeBytes, type Json, jsonCodec } from '../../machine/codec.ts'
import type { Installation, SubmitOptions, Written } from '../../machine/machine.ts'
import { CheckedInstallation } from '../checked-installation.ts'
import { ExpiringMachine } from '../expiring-machine.ts'
import { type ChangeEvents, signatureOf } from '../replicated.ts'
import type { TtlOption } from '../ttl.ts'
import { decodeCommand } from './command.ts'
import { RegisterCommands, type RegisterSetResult } from './register-commands.ts'

export type { RegisterSetResult } from './register-commands.ts'

/** The version of the item format (one item of expiring-items.ts, under an empty key) and of the commands. */
const FORMAT = 'register/1'
const KEY = byteStringOf(new Uint8Array())

/** Options of a `ReplicatedRegister`. */
export interface ReplicatedRegisterInit<T> {
  /** Default: `jsonCodec()`. */
  readonly values?: Codec<T>
  /** Part of the signature: replicas of registers with different names refuse each other. Default: none. */
  readonly name?: string
}

/** How to set a register. */
export type RegisterSetOptions = SubmitOptions & TtlOption

/** What `apply` returns; the method that wrote the command says which. */
export type RegisterResult = RegisterSetResult | boolean

/**
 * One change of a register. Values are decoded anew each time they are read; reading one that the codec cannot
 * decode throws `Undecodable`.
 */
export type RegisterChange<T> =
  | { readonly type: 'set'; readonly value: T; readonly previous: T | undefined }
  | { readonly type: 'clear'; readonly previous: T }
  /**
   * A value whose TTL had ended was removed from memory. That is some time after its death, and at a different time
   * on each replica.
   */
  | { readonly type: 'expire'; readonly previous: T }

/**
 * `change`: the value was set or cleared, or its TTL had ended. `reset`: a snapshot replaced the state, and what is
 * in it comes without a `change`.
 */
export type RegisterEvents<T> = ChangeEvents<RegisterChange<T>>

const ADDED: RegisterSetResult = Object.freeze({ replaced: false })
const REPLACED: RegisterSetResult = Object.freeze({ replaced: true })

/**
 * One value, or none, that every replica of a group holds: a configuration, or who does a job just now.
 *
 * Reads are local and see what this replica has applied. Writes are appended to the group's log and resolve when
 * they are applied here; before a replica has taken the register over they reject with `NotAttached`. A write
 * rejects with `Unencodable` when the codec refuses a value, and with the log's own errors (such as
 * `EntryTooLarge`). Its `signal` stops the wait, not the write.
 *
 * On a replica that has no state yet, because it waits for its first snapshot, reads throw `NotReadable`. A read
 * throws `Undecodable` when it meets bytes that the codec cannot read.
 *
 * A value that was set with `ttlMs` lives by machine time, as a key of a `ReplicatedMap` does.
 *
 * Listeners of `change` and `reset` are called while the entry is being applied, so they should be quick. If one
 * throws, the error becomes a process warning and has no other effect.
 *
 * @example
 * ```ts
 * const worker = new ReplicatedRegister<string>()
 * // once createReplica({ machine: worker, … }) has taken it over:
 * const { result: isMine } = await worker.compareAndSet(undefined, 'host-7', { ttlMs: 30_000 })
 * console.log(isMine, worker.get())
 * ```
 */
export class ReplicatedRegister<T = Json> extends ExpiringMachine<RegisterChange<T>, RegisterResult> {
  /** `register/1` with the codec's name and `name`: replicas with different ones refuse each other. */
  readonly signature: string
  /** Makes the commands that the methods below submit, for programs that append to a log themselves. */
  readonly commands: RegisterCommands<T>
  readonly #values: Codec<T>

  constructor(init: ReplicatedRegisterInit<T> = {}) {
    super()
    this.#values = init.values ?? jsonCodec<T>()
    this.commands = new RegisterCommands(this.#values)
    this.signature = signatureOf(FORMAT, { values: this.#values.name, name: init.name })
  }

  /** The value; undefined if there is none. */
  get(): T | undefined {
    this.assertReadable()
    const value = this.items.get(KEY)
    return value && decodeBytes(this.#values, 'value', value)
  }

  /** Whether there is a value. */
  get isSet(): boolean {
    this.assertReadable()
    return this.items.has(KEY)
  }

  /**
   * How long the value still lives, in milliseconds of machine time: `Infinity` for one without a TTL, undefined if
   * there is none.
   */
  ttl(): number | undefined {
    this.assertReadable()
    return this.items.ttl(KEY)
  }

  /** The encoded value, whatever is asked. Of JSON it is text. */
  query(): Uint8Array | undefined {
    this.assertReadable()
    const value = this.items.get(KEY)
    return value && new Uint8Array(value)
  }

  /** With `ttlMs` the value dies by itself. Setting it again, with or without `ttlMs`, replaces the TTL it had. */
  async set(value: T, options?: RegisterSetOptions): Promise<Written<RegisterSetResult>> {
    return this.write(this.commands.set(value, options), options)
  }

  /**
   * Set the value if it is `expected` when the command is applied. `undefined` stands for no value: as `expected` it
   * means set only if there is none, as `value` it means clear. The encoded bytes are compared, so JSON objects with
   * another order of properties differ. The result says whether the value was `expected`.
   */
  async compareAndSet(
    expected: T | undefined,
    value: T | undefined,
    options?: RegisterSetOptions,
  ): Promise<Written<boolean>> {
    return this.write(this.commands.compareAndSet(expected, value, options), options)
  }

  /** Let the value live until it is cleared. The result says whether it had a TTL. */
  async persist(options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.persist(), options)
  }

  /** The result says whether there was a value. */
  async clear(options?: SubmitOptions): Promise<Written<boolean>> {
    return this.write(this.commands.clear(), options)
  }

  /** Called by the replica. */
  override install(): Installation {
    return new CheckedInstallation(super.install(), ({ keyStart, keyEnd }) =>
      keyStart === keyEnd ? undefined : 'an item of a register has a key',
    )
  }

  protected obey(bytes: Uint8Array): RegisterResult {
    const command = decodeCommand(bytes)
    switch (command.type) {
      case 'set':
        return this.#set(command.value, command.ttlMs) ? ADDED : REPLACED
      case 'compareAndSet': {
        const { expected, value, ttlMs } = command
        if (!this.holds(KEY, expected)) return false
        if (value !== undefined) this.#set(value, ttlMs)
        else this.#clear()
        return true
      }
      case 'clear':
        return this.#clear()
      case 'persist':
        return this.items.persist(KEY)
    }
  }

  protected expiry(_key: ByteString, value: Uint8Array): RegisterChange<T> {
    return this.#end('expire', value)
  }

  /** Whether there was no value. */
  #set(value: Uint8Array, ttlMs: number | undefined): boolean {
    const previous = this.#previous()
    const isNew = this.items.set(KEY, value, ttlMs)
    if (this.isHeard) this.note(this.#setChange(new Uint8Array(value), previous))
    return isNew
  }

  /** Whether there was a value. */
  #clear(): boolean {
    const previous = this.#previous()
    const isCleared = this.items.delete(KEY)
    if (previous !== undefined) this.note(this.#end('clear', previous))
    return isCleared
  }

  /** A copy of the value that a command replaces, for the change that tells of it. */
  #previous(): Uint8Array | undefined {
    return this.isHeard ? this.items.find(KEY)?.copyOfValue() : undefined
  }

  #setChange(value: Uint8Array, previous: Uint8Array | undefined): RegisterChange<T> {
    const values = this.#values
    return {
      type: 'set',
      get value() {
        return decodeBytes(values, 'value', value)
      },
      get previous() {
        return previous && decodeBytes(values, 'value', previous)
      },
    }
  }

  #end(type: 'clear' | 'expire', previous: Uint8Array): RegisterChange<T> {
    const values = this.#values
    return {
      type,
      get previous() {
        return decodeBytes(values, 'value', previous)
      },
    }
  }
}
