import {
  type CatchUpPhase,
  type CatchUpProgress,
  CELLS_MAX,
  PROVIDERS_MAX,
} from '../../group/catch-up-progress.ts'
import type { Membership } from '../../group/membership.ts'
import type { ChunkMap } from '../../sync/fetching/index.ts'
import type { SessionState } from '../../sync/fetching/session-state.ts'
import type { SnapshotSync } from '../../sync/snapshot-sync.ts'
import type { Clock, Timer } from '../../time/clock.ts'
import type { ReplicaEvent } from '../events.ts'
import type { Status } from '../status.ts'
import type { Announcer } from './announcer.ts'
import { chunkCells } from './chunk-cells.ts'
import { ProviderRates } from './provider-rates.ts'

/** How often the rates are measured, and a change is announced at most, in milliseconds: people see it move. */
const INTERVAL_MS = 250
/**
 * Pause between two announcements for each member and each one that catches up, in milliseconds. Everybody reads what
 * anyone announces, so all of them together are read no more than 125 times a second: 64 that join at once on one
 * machine, at 16 announcements a second, spent half of it on reading them.
 */
const READING_MS = 8

export interface CatchUpWatchInit {
  readonly clock: Clock
  readonly status: Pick<Status, 'state'>
  readonly sync: Pick<SnapshotSync, 'chunkMap' | 'received'>
  readonly membership: Pick<Membership, 'list'>
  readonly announcer: Pick<Announcer, 'soon'>
}

/** A catch-up that goes on. */
interface Running {
  readonly id: string
  readonly beganMs: number
  readonly rates: ProviderRates
  phase: CatchUpPhase
  anchor: number
  map: ChunkMap | undefined
}

/** How far this replica's catch-up is. It has that announced while it goes on. */
export class CatchUpWatch {
  readonly #init: CatchUpWatchInit
  #running: Running | undefined
  #timer: Timer | undefined
  /** What was announced last, in short, and when. */
  #told = { what: '', atMs: Number.NEGATIVE_INFINITY }

  constructor(init: CatchUpWatchInit) {
    this.#init = init
  }

  /** Undefined while there is no catch-up. */
  get progress(): CatchUpProgress | undefined {
    const running = this.#running
    const { clock, status } = this.#init
    // What is announced with a new state comes before the event of it.
    if (running === undefined || isOver(status.state)) return undefined
    const { id, anchor, map, rates, beganMs } = running
    const providers = (map?.providers ?? []).sort((a, b) => b.chunks - a.chunks).slice(0, PROVIDERS_MAX)
    const peers = providers.map(({ peer }) => peer)
    return {
      id,
      phase: phaseOf(running),
      anchor,
      chunks: map?.here ?? 0,
      chunksTotal: map?.length ?? 0,
      bytes: map?.hereBytes ?? 0,
      bytesTotal: map?.bytes ?? 0,
      elapsedMs: Math.round(clock.now() - beganMs),
      providers: providers.map((one) => ({ ...one, bytesPerSecond: Math.round(rates.of(one.peer)) })),
      cells: map === undefined ? new Uint8Array(0) : chunkCells(map, peers, CELLS_MAX),
    }
  }

  get chunkMap(): ChunkMap | undefined {
    return this.#running?.map
  }

  happened({ type, detail }: ReplicaEvent): void {
    if (type === 'sync' && detail.type === 'session') this.#session(detail.catchUp, detail.state)
    if (type === 'state' && isOver(detail.state)) this.#end()
  }

  #session(id: string, state: SessionState): void {
    // An installation that had begun when the replica halted is done after that.
    if (state.status === 'failed' || isOver(this.#init.status.state)) return this.#end()
    if (this.#running?.id !== id) this.#begin(id)
    const running = this.#running!
    // It goes on with another anchor.
    if (state.status === 'requesting') running.map = undefined
    running.phase = state.status === 'done' ? 'replaying' : state.status
    running.anchor = 'anchor' in state ? state.anchor.index : 0
    // There is none any more when the session is done.
    running.map = this.#init.sync.chunkMap ?? running.map
  }

  #begin(id: string): void {
    const { clock } = this.#init
    const rates = new ProviderRates()
    this.#running = { id, beganMs: clock.now(), rates, phase: 'requesting', anchor: 0, map: undefined }
    this.#look()
  }

  #end(): void {
    this.#running = undefined
    this.#timer?.cancel()
  }

  /** Measure, and have a change announced. */
  #look(): void {
    const { clock, sync, announcer } = this.#init
    const running = this.#running!
    running.map = sync.chunkMap ?? running.map
    running.rates.sample(clock.now(), sync.received())
    if (this.#isNews(running)) announcer.soon()
    this.#timer?.cancel()
    this.#timer = clock.schedule(INTERVAL_MS, () => this.#look())
  }

  #isNews(running: Running): boolean {
    const { clock, membership } = this.#init
    const { id, anchor, map } = running
    const what = `${id} ${phaseOf(running)} ${anchor} ${map?.changes}`
    const nowMs = clock.now()
    const members = membership.list()
    const joiners = members.filter(({ catchUp }) => catchUp !== undefined).length
    const pauseMs = joiners * members.length * READING_MS
    if (what === this.#told.what || nowMs - this.#told.atMs < pauseMs) return false
    this.#told = { what, atMs: nowMs }
    return true
  }
}

/** A session tells that it fetches with the first chunk that is here. It does so from the first that is known. */
function phaseOf({ phase, map }: Running): CatchUpPhase {
  return phase === 'choosing' && map !== undefined && map.length > 0 ? 'fetching' : phase
}

function isOver(state: Status['state']): boolean {
  return state === 'in-sync' || state === 'halted' || state === 'stopped'
}
