import type { Clock } from '../time/clock.ts'
import type { Member } from './member.ts'

/** A member that speaks no more, and some of what it announced last. It counts for nothing. */
export interface SilentMember
  extends Pick<
    Member,
    'id' | 'state' | 'applied' | 'checkpoint' | 'version' | 'signature' | 'announcedAtMs'
  > {
  /** At most 16 of its addresses. */
  readonly addresses: readonly string[]
  /** Since when it is no member any more, by this process's clock. */
  readonly silentSinceMs: number
  /** It withdrew its announcement, or had announced that it stopped. Otherwise its announcement expired. */
  readonly tookLeave: boolean
}

/** How long members that fell silent are remembered, in milliseconds. */
export const SILENT_MS = 600_000
/** Those that fell silent last are remembered; each is small, whatever it announced. */
const REMEMBERED_MAX = 200
const ADDRESSES_MAX = 16
const ADDRESS_LENGTH_MAX = 512

/** The members that fell silent, or took their leave, in the last ten minutes. */
export class SilentMembers {
  readonly #clock: Clock
  readonly #self: string | undefined
  /** Those who spoke at the last look. */
  #speaking = new Map<string, Member>()
  #silent = new Map<string, SilentMember>()

  /** @param self this replica's own id, which is never listed */
  constructor(clock: Clock, self?: string) {
    this.#clock = clock
    this.#self = self
  }

  /** Those that fell silent last come first. */
  get list(): SilentMember[] {
    const nowMs = this.#clock.now()
    const recent = [...this.#silent.values()].filter(({ silentSinceMs }) => nowMs - silentSinceMs < SILENT_MS)
    return recent.sort((a, b) => b.silentSinceMs - a.silentSinceMs)
  }

  /**
   * The members may have changed.
   *
   * @param members those who speak now
   * @param expired announcements that are still in the presence store, and that nobody counts
   */
  look(members: readonly Member[], expired: readonly Member[] = []): void {
    const nowMs = this.#clock.now()
    const speaking = new Map(members.map((member) => [member.id, member]))
    for (const id of speaking.keys()) this.#silent.delete(id)
    const gone = [...this.#speaking.values()].filter(({ id }) => !speaking.has(id))
    for (const member of gone) this.#remember(member, nowMs)
    for (const member of expired) {
      if (!speaking.has(member.id) && !this.#silent.has(member.id)) this.#remember(member, nowMs)
    }
    this.#speaking = speaking
    if (this.#silent.size > REMEMBERED_MAX) this.#forget()
  }

  #remember(member: Member, nowMs: number): void {
    const { id, state, applied, checkpoint, version, signature, announcedAtMs, untilMs } = member
    // Visitors have no address.
    if (id === this.#self || member.addresses.length === 0 || nowMs - untilMs >= SILENT_MS) return
    this.#silent.set(id, {
      ...{ id, state, applied, checkpoint, announcedAtMs },
      ...(version !== undefined && { version }),
      ...(signature !== undefined && { signature }),
      addresses: member.addresses
        .filter(({ length }) => length <= ADDRESS_LENGTH_MAX)
        .slice(0, ADDRESSES_MAX),
      silentSinceMs: Math.min(untilMs, nowMs),
      // What is gone before its time was withdrawn.
      tookLeave: state === 'stopped' || nowMs < untilMs,
    })
  }

  #forget(): void {
    this.#silent = new Map(this.list.slice(0, REMEMBERED_MAX).map((member) => [member.id, member]))
  }
}
