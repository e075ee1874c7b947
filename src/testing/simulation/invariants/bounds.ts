import { decodeControl } from '../../../group/control.ts'
import { LIVE_ANCHORS_MAX, PROVIDER_LIMITS_DEFAULT } from '../../../sync/limits.ts'
import { type Invariant, PromiseBroken } from '../invariant.ts'
import type { RecordedEntry } from '../log.ts'
import type { Scene } from '../scene.ts'

/** How often offers are counted, in milliseconds of virtual time. */
const LOOK_MS = 250
const MINUTE_MS = 60_000
/** Markers that a leader may have appended and not applied yet, and offers of the leader before it. */
const IN_TRANSIT = LIVE_ANCHORS_MAX
/**
 * A prune leaves a tenth of what is kept, and is an entry itself, as are the ticks and attestations after it.
 */
const PRUNE_SLACK = 1.1
/** Control entries that an idle group may write until it prunes: ticks, a claim, and those of one marker. */
const CONTROL_MAX = 24

/** What a group holds and writes is bounded, whatever its members ask for. */
export class Bounds implements Invariant {
  readonly #scene: Scene
  /** When the markers of the last minute were committed, the oldest first, and the requesters of each. */
  #markers: { readonly atMs: number; readonly by: string; readonly requesters: readonly string[] }[] = []
  /** The leader's life, by the index of its marker. */
  readonly #markedBy = new Map<number, string>()
  #lookedMs = 0

  constructor(scene: Scene) {
    this.#scene = scene
  }

  committed({ index, kind, payload, author, life }: RecordedEntry): void {
    const control = kind === 'control' ? decodeControl(payload) : undefined
    if (control?.type !== 'marker' || !this.#scene.lives.has(life)) return
    const { nowMs } = this.#scene.world
    this.#markedBy.set(index, life)
    this.#markers = this.#markers.filter(({ atMs }) => nowMs - atMs < MINUTE_MS)
    const { requesters } = control
    this.#markers.push({ atMs: nowMs, by: life, requesters })
    for (const requester of requesters) {
      // A leader's own markers are not limited, and each leader counts anew.
      if (requester === author) continue
      const own = this.#markers.filter((one) => one.by === life && one.requesters.includes(requester))
      if (own.length > PROVIDER_LIMITS_DEFAULT.markersPerMinute)
        throw broken(`${life} wrote ${own.length} markers for ${requester} within a minute`)
    }
  }

  stepped(): void {
    const { world, nodes, log } = this.#scene
    if (world.nowMs - this.#lookedMs < LOOK_MS) return
    this.#lookedMs = world.nowMs
    for (const { name, running, replica } of nodes) {
      if (replica === undefined || running?.isStopping === true) continue
      // Those that an operator pruned away are of no use to anybody, and live for their TTL.
      const offers = replica.offers.filter(({ anchor }) => anchor.index >= log.record.first)
      // Each leader counts those of its own time, and after an upgrade none from before it: nobody wants them.
      const eras = new Set(offers.map(({ anchor: { index, epoch } }) => this.#eraOf(index, epoch)))
      const most = LIVE_ANCHORS_MAX + IN_TRANSIT * Math.max(1, eras.size - 1)
      if (offers.length > most) throw broken(`${name} has ${offers.length} live offers, of ${eras.size} eras`)
    }
  }

  #eraOf(index: number, epoch: string): string {
    const spokenSince = this.#scene.history.spokenAt(index, epoch)?.index ?? 0
    return `${this.#markedBy.get(index)}/${spokenSince}`
  }

  /** The policy has had its time: what is not kept, and pinned by nobody, is gone. */
  idle(): void {
    const { plan, log, history } = this.#scene
    const { keepEntries, durable } = plan.settings
    if (keepEntries === undefined) return
    for (const { name, replica } of this.#scene.nodes) {
      const offers = replica?.offers.length ?? 0
      if (offers > LIVE_ANCHORS_MAX) throw broken(`${name} has ${offers} live offers, and nobody fetches`)
    }
    // In a durable group what no checkpoint covers stays, however much that is.
    const covered = durable ? this.#checkpoint : history.newest
    const keptMax = keepEntries * PRUNE_SLACK + CONTROL_MAX + (history.newest - covered)
    const kept = history.newest + 1 - log.record.first
    if (kept > keptMax) throw broken(`the log keeps ${kept} entries, ${keptMax} at the most`)
  }

  /** The newest checkpoint that a member announces. */
  get #checkpoint(): number {
    const { presences } = this.#scene.log.record
    return Math.max(0, ...Array.from(presences.values(), ({ announcement }) => announcement.checkpoint))
  }
}

function broken(message: string): PromiseBroken {
  return new PromiseBroken('bounded', message)
}
