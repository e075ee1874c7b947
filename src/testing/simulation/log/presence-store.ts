import { decodeAnnouncement } from '../../../group/announcement.ts'
import { LogClosed } from '../../../log/errors.ts'
import { checkPresence } from '../../../log/limits.ts'
import type { SignalOptions } from '../../../log/log.ts'
import type { Presence, PresenceStore } from '../../../log/presence.ts'
import { Iteration } from './iteration.ts'
import type { Line, Need } from './line.ts'
import type { LogServer, Writer } from './server.ts'

export interface HandleInit {
  readonly server: LogServer
  readonly line: Line
  readonly writer: Writer
  readonly maxEntryBytes: number
  readonly stampBy: (node: string) => number
}

/** The presences, as one process's handle has them. */
export class SimulatedPresenceStore implements PresenceStore {
  readonly #server: LogServer
  readonly #line: Line
  readonly #epoch: string
  readonly #maxBytes: number
  readonly #wallMs: () => number
  readonly #watchers = new Set<() => void>()
  #readAtMs = Number.NEGATIVE_INFINITY

  constructor({ server, line, writer, maxEntryBytes, stampBy }: HandleInit) {
    this.#server = server
    this.#line = line
    this.#epoch = writer.epoch
    this.#maxBytes = maxEntryBytes
    this.#wallMs = () => stampBy(line.node)
  }

  /** When the presences were read last. */
  get readAtMs(): number {
    return this.#readAtMs
  }

  changed(): void {
    for (const notify of this.#watchers) notify()
  }

  async announce(member: string, data: Uint8Array, ttlMs: number, options?: SignalOptions): Promise<void> {
    this.#assertOpen(options)
    checkPresence(member, data, ttlMs, this.#maxBytes)
    await this.#ask(() => {
      const { presences, record, world } = this.#server
      presences.announce(member, data, ttlMs, this.#wallMs(), world.nowMs)
      const announcement = decodeAnnouncement(data)
      const { node } = this.#line
      if (announcement !== undefined)
        record.announced(member, { node, announcement, atMs: world.nowMs, ttlMs })
      this.#server.tellPresences()
    }, options)
  }

  async withdraw(member: string, options?: SignalOptions): Promise<void> {
    this.#assertOpen(options)
    await this.#ask(() => {
      const { presences, record } = this.#server
      const wasThere = presences.withdraw(member)
      record.withdrawn(member)
      if (!wasThere) return
      this.#server.tellPresences()
    }, options)
  }

  async read(options?: SignalOptions): Promise<Presence[]> {
    this.#assertOpen(options)
    const { world, record, presences } = this.#server
    const work = () => {
      this.#readAtMs = world.nowMs
      return { read: presences.read(this.#wallMs()), recorded: record.presences }
    }
    const { read, recorded } = await this.#ask(work, options, this.#needToRead)
    record.presencesRead(this.#line.life.name, recorded)
    return read
  }

  async *watch({ signal }: SignalOptions = {}): AsyncGenerator<Presence[]> {
    if (signal?.aborted) return
    this.#assertOpen()
    const { world, presences, record } = this.#server
    const line = this.#line
    using iteration = new Iteration(line, this.#watchers, signal)
    let seen: number | undefined
    let dueMs: number | undefined
    while (!iteration.isOver) {
      if (!line.isOpenFor(this.#needToRead)) {
        await iteration.wait()
        continue
      }
      this.#server.assertEpoch(this.#epoch)
      if (presences.changes === seen) {
        await iteration.wait()
        continue
      }
      dueMs ??= world.nowMs + line.lagMs()
      if (dueMs > world.nowMs) {
        iteration.wakeAt(dueMs)
        await iteration.wait()
        continue
      }
      dueMs = undefined
      seen = presences.changes
      record.presencesRead(line.life.name, record.presences)
      yield presences.read(this.#wallMs())
    }
  }

  #assertOpen({ signal }: SignalOptions = {}): void {
    signal?.throwIfAborted()
    if (this.#line.isClosed) throw new LogClosed()
  }

  /** Whoever reads a file does not wait for its lock. */
  get #needToRead(): Need {
    return this.#line.isLocal ? 'read' : 'presences'
  }

  async #ask<T>(work: () => T, { signal }: SignalOptions = {}, need: Need = 'presences'): Promise<T> {
    const checked = () => {
      this.#server.assertEpoch(this.#epoch)
      return work()
    }
    return await this.#line.ask(checked, { signal, need })
  }
}
