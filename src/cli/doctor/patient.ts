import { keptIdentity } from '../../checkpoint/data-directory.ts'
import { fileStorage } from '../../checkpoint/file-storage.ts'
import type { Log } from '../../log/log.ts'
import type { NodeOptions } from '../commands/node.ts'
import type { Context } from '../context.ts'
import { GroupFacts } from '../facts/group-facts.ts'
import { type Heard, Interviews } from '../facts/interviews.ts'
import { openAnyLog, signatureOf } from '../log/open-log.ts'

/** Replicas that are asked and dialled. */
const ASKED_MAX = 64
/** How long the log is waited for, in milliseconds: less than a check has. */
const OPEN_MS = 4_500
/** How long all that is read off the log, and all replicas together, are waited for then, in milliseconds. */
const LOOK_MS = 10_000

/** A replica's machine and flags, as this command is given them, and what is found out about them once for all checks. */
export class Patient implements AsyncDisposable {
  readonly context: Context
  readonly options: NodeOptions
  /** What `--network-key` holds; undefined: no such flag, or no key. */
  readonly networkKey: Uint8Array | undefined
  #opening: Promise<Log> | undefined
  #facts: Promise<GroupFacts | undefined> | undefined
  #heard: Promise<ReadonlyMap<string, Heard>> | undefined

  constructor(context: Context, options: NodeOptions, networkKey: Uint8Array | undefined) {
    this.context = context
    this.options = options
    this.networkKey = networkKey
  }

  /** The log, open. Rejects with what keeps it from being opened. */
  opening(): Promise<Log> {
    const { context } = this
    const signal = AbortSignal.any([context.signal, AbortSignal.timeout(OPEN_MS)])
    this.#opening ??= openAnyLog({ ...context, signal })
    return this.#opening
  }

  /** The log; undefined if it cannot be opened, which a check of its own tells. */
  async log(): Promise<Log | undefined> {
    return await this.opening().catch(() => undefined)
  }

  /** What the log and the announcements say; undefined if they cannot be read. */
  facts(): Promise<GroupFacts | undefined> {
    this.#facts ??= this.log().then((log) => {
      if (log === undefined) return undefined
      return GroupFacts.gather(log, { ...this.context, signal: this.#soon() }).catch(() => undefined)
    })
    return this.#facts
  }

  /** What became of asking each replica that runs; empty if none could be asked. */
  heard(): Promise<ReadonlyMap<string, Heard>> {
    // No replica answers a process that cannot announce itself in the log. A check of its own tells why.
    this.#heard ??= this.#interview().catch(() => {
      this.context.signal.throwIfAborted()
      return new Map()
    })
    return this.#heard
  }

  /** The PeerId of the replica of `--data`; undefined: none yet, or no key that can be read. */
  async id(): Promise<string | undefined> {
    const { data } = this.options
    if (data === undefined) return undefined
    const key = await keptIdentity(data, fileStorage).catch(() => undefined)
    return key?.publicKey.toString()
  }

  #soon(): AbortSignal {
    return AbortSignal.any([this.context.signal, AbortSignal.timeout(LOOK_MS)])
  }

  async #interview(): Promise<ReadonlyMap<string, Heard>> {
    const [log, facts] = [await this.log(), await this.facts()]
    if (log === undefined || facts === undefined) return new Map()
    const { context, networkKey } = this
    const { group } = context
    const signal = this.#soon()
    const asking = { group, signature: signatureOf(log), log, signal, ...(networkKey && { networkKey }) }
    await using interviews = await Interviews.begin(asking)
    return await interviews.with(facts.running.slice(0, ASKED_MAX))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#heard?.catch(() => {})
    await (await this.log())?.close()
  }
}
