import type { Position } from '../../src/position.ts'
import type { Installing, SyncHost, SyncMember } from '../../src/sync/host.ts'

/** A host whose answers are set by the test, and that counts what it is asked. */
export class StubHost implements SyncHost {
  readonly group = 'g'
  readonly signature = 's'
  readonly epoch = 'e'
  leads: string | undefined
  /** Who asked for each marker that was appended. */
  readonly markers: string[] = []
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
    this.#members.push({ id, addresses, serves: true, applied: 0 })
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

  async appendMarker(requester: string): Promise<Position> {
    this.markers.push(requester)
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

  async pin(): Promise<void> {}

  beginInstall(): Installing {
    return { async add() {}, commit() {} }
  }
}
