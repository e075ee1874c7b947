import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { type Announcement, encodeAnnouncement } from '../../../group/announcement.ts'
import { type Control, encodeControl } from '../../../group/control.ts'
import { GROUP_FORMAT } from '../../../group/formats.ts'
import type { Log } from '../../../log/log.ts'
import type { Position } from '../../../position.ts'
import type { Replica } from '../../../replica/replica.ts'
import type { Scope } from '../../../sync/wire/messages.ts'
import type { Chance } from '../chance.ts'
import { keyAt } from '../keys.ts'
import { Life } from '../life.ts'
import type { SimulatedEndpoint } from '../network.ts'
import type { Scene } from '../scene.ts'
import { Conversation } from './conversation.ts'

const GROUP = 'simulated'
/** Longer than a lease, and short beside the time that a group has to get in sync. */
const ANNOUNCED_MS = 5_000
const ANNOUNCE_EVERY_MS = 1_000

/**
 * A member of a group that is not honest. It has an identity, a place in the network and a log of its own, as
 * a replica has. It lives as long as its step, and all that it does ends with its life.
 */
export class HostileMember {
  readonly scene: Scene
  readonly life: Life
  readonly id: string
  readonly chance: Chance
  readonly endpoint: SimulatedEndpoint
  /** The anchor that it says it needs. */
  needs = 0
  readonly #node: string
  #log: Log | undefined

  constructor(scene: Scene, node: string) {
    this.scene = scene
    this.#node = node
    this.life = new Life(scene.world, node)
    this.id = peerIdFromPrivateKey(keyAt(scene.nextKey())).toString()
    this.chance = scene.world.chance(`hostile/${node}`)
    this.endpoint = scene.network.joinAs(this.life, this.id, node)
  }

  /** It asks as a member does that speaks what the group speaks. */
  get scope(): Scope {
    return { group: GROUP, signature: this.scene.history.group.spoken.signature }
  }

  get log(): Log {
    if (this.#log === undefined) throw new Error('the log is opened first')
    return this.#log
  }

  async openLog(): Promise<void> {
    const backend = this.scene.log.backendFor(this.life, this.#node)
    const { signature, older = [] } = this.scene.workload.machine()
    this.#log = await backend.open({ group: GROUP, signature, older, author: this.id })
    this.life.onDeath(() => void this.log.close())
  }

  /**
   * Say again and again what `changes` says now. It follows, and is not in sync: so it is in no electorate.
   */
  announceAs(changes: () => Partial<Announcement>): void {
    const announce = async () => {
      const announcement: Announcement = {
        epoch: this.log.epoch,
        addresses: [this.endpoint.address],
        state: 'following',
        applied: 0,
        leads: 0,
        offers: [],
        needs: this.needs,
        checkpoint: 0,
        format: GROUP_FORMAT,
        process: this.#node,
        ...changes(),
      }
      await this.log.notices.announce(this.id, encodeAnnouncement(announcement), ANNOUNCED_MS).catch(() => {})
      this.life.schedule(ANNOUNCE_EVERY_MS, () => void announce())
    }
    void announce()
  }

  /** The replicas that live and are not stopped. */
  honest(): Replica<unknown>[] {
    return this.scene.nodes.flatMap(({ replica, running }) =>
      replica === undefined || running?.isStopping ? [] : [replica],
    )
  }

  /** Who leads, by those that say so. */
  leader(): string | undefined {
    return this.honest().find(({ leader }) => leader !== undefined)?.leader
  }

  newest(): Position {
    return { epoch: this.log.epoch, index: this.scene.history.newest }
  }

  /** Rejects where the peer cannot be reached. */
  async talkTo(peer: string): Promise<Conversation> {
    const never = new AbortController()
    return new Conversation(await this.endpoint.dial(peer, never.signal), this.scope)
  }

  /** Write into the group's log, which every member can. */
  async append(...controls: readonly (Control | Uint8Array)[]): Promise<void> {
    await this.log.append(
      controls.map((control) => ({
        kind: 'control',
        payload: control instanceof Uint8Array ? control : encodeControl(control),
      })),
    )
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.life.schedule(ms, resolve))
  }
}
