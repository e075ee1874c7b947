import type { Position } from '../../src/position.ts'
import type { StateBuilder } from '../../src/snapshot/state-builder.ts'
import type { SyncHost, SyncMember } from '../../src/sync/host.ts'

/** A host whose answers are set by the test, and that counts what it is asked. */
export class StubHost implements SyncHost {
  readonly group = 'g'
  readonly signature = 's'
  readonly epoch = 'e'
  leads: string | undefined
  /** Who asked for each marker that was appended. */
  readonly markers: string[] = []
  /** The anchors that these markers retire. */
  readonly retired: number[] = []
  /** Anchors with which the group makes no progress, and those whose electors have left. */
  readonly stalled = new Set<number>()
  readonly unsealable = new Set<number>()
  /** The newest entry of the log. */
  newest = 100
  /** The first that can still be read. */
  first = 1
  refreshed = 0
  onRefresh: () => void = () => {}
  onAppend: () => Promise<void> = async () => {}
  onLook: () => void = () => {}
  readonly #members: SyncMember[]

  constructor(self: string) {
    this.#members = [{ id: self, addresses: [], serves: true, applied: 0 }]
  }

  admit(id: string, addresses: readonly string[] = []): void {
    this.announce({ id, addresses, serves: true, applied: 0 })
  }

  /** What a member says of itself from now on. */
  announce(member: SyncMember): void {
    const at = this.#members.findIndex(({ id }) => id === member.id)
    if (at < 0) this.#members.push(member)
    else this.#members[at] = member
  }

  leader(): string | undefined {
    return this.leads
  }

  members(): readonly SyncMember[] {
    return this.#members
  }

  async refreshMembers(): Promise<void> {
    this.refreshed++
    this.onRefresh()
  }

  async appendMarker(requester: string, retires: readonly Position[]): Promise<Position> {
    this.markers.push(requester)
    this.retired.push(...retires.map(({ index }) => index))
    const index = ++this.newest
    await this.onAppend()
    return { epoch: this.epoch, index }
  }

  async isReadable(position: Position): Promise<boolean> {
    this.onLook()
    return position.index >= this.first
  }

  sealedRoot(_anchor: Position): Promise<Uint8Array> {
    return new Promise(() => {})
  }

  mayBeSealed({ index }: Position): boolean {
    return !this.unsealable.has(index)
  }

  hasStalled({ index }: Position): boolean {
    return this.stalled.has(index)
  }

  async pin(): Promise<void> {}

  beginInstall(): StateBuilder {
    return { async add() {}, commit() {} }
  }
}
