import { type Clock, sleep } from '../../time/clock.ts'
import type { SyncHost } from '../host.ts'
import { Failed, Unauthorized } from '../wire/errors.ts'

export interface AdmissionInit {
  readonly host: SyncHost
  readonly clock: Clock
  /**
   * Asked about members too: false keeps a peer out. What it throws counts as false. Default: every member
   * may.
   */
  readonly authorize?: ((peer: string) => boolean | Promise<boolean>) | undefined
}

/**
 * The membership is read anew for strangers at most once in so long. Strangers that come meanwhile share the
 * next reading: a flood of them must not become a flood of reads.
 */
const REFRESH_EVERY_MS = 1_000

/**
 * Who is served: members of the group, known by the PeerId that the connection's encryption authenticated.
 */
export class Admission {
  readonly #init: AdmissionInit
  #refreshed: Promise<void> | undefined
  #refreshedAtMs = Number.NEGATIVE_INFINITY

  constructor(init: AdmissionInit) {
    this.#init = init
  }

  /**
   * Rejects with `Unauthorized`, or with `Failed` when the membership cannot be read. Neither tells a
   * stranger anything about the group. A member is told why it is kept out.
   */
  async admit(peer: string): Promise<void> {
    // The announcement of a new member may not have been read yet.
    if (!this.#isMember(peer)) await this.#untilMember(peer)
    if (!this.#isMember(peer)) throw new Unauthorized('announce yourself to the group first')
    if (!(await this.#isAuthorized(peer))) {
      throw new Unauthorized("you are a member, and this replica's authorize option does not let you in")
    }
  }

  #isMember(peer: string): boolean {
    return this.#init.host.members().some(({ id }) => id === peer)
  }

  /**
   * Resolves when the peer is a member, or the membership was read anew and it is none. A reading may have to wait,
   * and the announcement may come by itself meanwhile.
   */
  async #untilMember(peer: string): Promise<void> {
    const { host } = this.#init
    const came = Promise.withResolvers<void>()
    const unsubscribe = host.onMembersChanged?.(() => {
      if (this.#isMember(peer)) came.resolve()
    })
    try {
      await Promise.race([came.promise, this.#refresh()])
    } finally {
      unsubscribe?.()
    }
  }

  async #isAuthorized(peer: string): Promise<boolean> {
    try {
      return (await this.#init.authorize?.(peer)) ?? true
    } catch {
      return false
    }
  }

  #refresh(): Promise<void> {
    this.#refreshed ??= this.#refreshSoon().finally(() => {
      this.#refreshed = undefined
    })
    return this.#refreshed
  }

  async #refreshSoon(): Promise<void> {
    const { host, clock } = this.#init
    const waitMs = this.#refreshedAtMs + REFRESH_EVERY_MS - clock.now()
    if (waitMs > 0) await sleep(clock, waitMs)
    this.#refreshedAtMs = clock.now()
    await host.refreshMembers().catch((cause) => {
      throw new Failed('the membership cannot be read', { cause })
    })
  }
}
