import type { Membership } from '../../group/membership.ts'
import type { Log } from '../../log/log.ts'
import type { Position } from '../../position.ts'
import type { StateBuilder } from '../../snapshot/state-builder.ts'
import type { SyncHost, SyncMember } from '../../sync/host.ts'
import { NotLeader } from '../../sync/wire/errors.ts'
import type { Clock } from '../../time/clock.ts'
import { syncMembers } from '../membership/sync-members.ts'

export interface VisitHostInit {
  readonly group: string
  readonly signature: string
  readonly log: Pick<Log, 'epoch' | 'bounds' | 'follow' | 'read'>
  readonly clock: Clock
  readonly membership: Membership
  /** Tell the group that the log is needed from this anchor on; 0: no longer. */
  readonly pin: (anchor: number) => Promise<void>
}

/** What snapshot sync needs, for a visitor: it has no state, leads nobody, and serves nothing. */
export class VisitHost implements SyncHost {
  readonly group: string
  signature: string
  readonly epoch: string
  readonly #init: VisitHostInit
  #begin: (() => StateBuilder) | undefined

  constructor(init: VisitHostInit) {
    this.#init = init
    this.group = init.group
    this.signature = init.signature
    this.epoch = init.log.epoch
  }

  /** By the announcements alone. */
  leader(): string | undefined {
    const leading = this.#init.membership.list().filter(({ leads }) => leads > 0)
    return leading.sort((a, b) => b.leads - a.leads)[0]?.id
  }

  members(): SyncMember[] {
    return syncMembers(this.#init.membership.list(), this.#init.clock.now())
  }

  onMembersChanged(listener: () => void): () => void {
    return this.#init.membership.listen({ membersChanged: listener })
  }

  async refreshMembers(): Promise<void> {
    await this.#init.membership.refresh()
  }

  async appendMarker(): Promise<Position> {
    throw new NotLeader(this.leader())
  }

  async isReadable(position: Position): Promise<boolean> {
    return position.epoch === this.epoch && (await this.#init.log.bounds()).first <= position.index
  }

  /** Read off the log. */
  async sealedRoot(anchor: Position, signal: AbortSignal): Promise<Uint8Array> {
    const { SealReader } = await import('../snapshots/seal-reader.ts')
    return (await new SealReader(this.#init.log).read(anchor, signal)).root
  }

  async pin(anchor: Position | undefined): Promise<void> {
    await this.#init.pin(anchor?.index ?? 0)
  }

  /** What is fetched goes there. */
  installBy(begin: () => StateBuilder): void {
    this.#begin = begin
  }

  beginInstall(): StateBuilder {
    if (this.#begin === undefined) throw new Error('a visitor has no state to replace')
    return this.#begin()
  }
}
