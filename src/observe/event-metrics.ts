import type { CheckpointEvent } from '../checkpoint/store.ts'
import { errorCode, OTHER_CODE } from '../error-code.ts'
import { ReplicaStopped } from '../replica/errors.ts'
import type { CatchUpReport, ReplicaEvent } from '../replica/events.ts'
import type { Replica } from '../replica/replica.ts'
import type { AvailableEvent } from '../snapshot/available.ts'
import type { SyncEvent } from '../sync/events.ts'
import type { SessionState } from '../sync/fetching/session-state.ts'
import type { LabelsOf, MetricName, NamesOf } from './metric-definitions.ts'
import type { MetricSeries } from './metric-families.ts'

/**
 * Codes of errors that one metric tells apart. There are some 90 in this package, and a metric meets a few. Later
 * ones count as `OTHER`, so that nobody can make a metric grow without end.
 */
const CODES_MAX = 64

/** Metrics with a label for the code of an error. */
type CodeMetric =
  | 'anchorage_refusals_total'
  | 'anchorage_peer_faults_total'
  | 'anchorage_anchor_requests_deferred_total'
  | 'anchorage_problems_total'

/** Counts and measures what the events of a replica tell. */
export class EventMetrics {
  readonly #series: MetricSeries
  readonly #replica: Pick<Replica, 'id'>
  readonly #codes = new Map<CodeMetric, Set<string>>()
  #isCatchingUp = false

  constructor(replica: Pick<Replica, 'id'>, series: MetricSeries) {
    this.#replica = replica
    this.#series = series
    this.#begin()
  }

  happened({ type, detail }: ReplicaEvent): void {
    switch (type) {
      case 'leader':
        return this.#series.add('anchorage_leader_changes_total', {})
      case 'sync':
        return this.#sync(detail)
      case 'marked':
      case 'sealed':
      case 'disputed':
        return this.#series.add('anchorage_anchor_events_total', { event: type })
      case 'divergence': {
        const whose = detail.replica === this.#replica.id ? 'own' : 'other'
        return this.#series.add('anchorage_divergences_total', { whose })
      }
      case 'caught-up':
        return this.#caughtUp(detail)
      case 'log':
        if (!detail.connected) this.#series.add('anchorage_log_disconnections_total', {})
        return
      case 'upgraded':
        return this.#series.add('anchorage_upgrades_total', {})
      case 'pruned':
        this.#series.add('anchorage_prunes_total', {})
        return this.#series.set('anchorage_pruned_position', {}, detail.upTo)
      case 'checkpoint':
        return this.#checkpoint(detail)
      case 'skipped':
        return this.#series.add('anchorage_skipped_entries_total', { kind: detail.entry.kind })
      case 'problem':
        return this.#error('anchorage_problems_total', detail)
      case 'state':
        // It is read at each scrape.
        return
    }
  }

  /** Counters begin at 0: without that, the first event would be no increase. */
  #begin(): void {
    this.#zero('anchorage_leader_changes_total', {})
    this.#zero('anchorage_upgrades_total', {})
    this.#zero('anchorage_log_disconnections_total', {})
    this.#zero('anchorage_prunes_total', {})
    this.#zero('anchorage_catch_ups_begun_total', {})
    this.#zero('anchorage_offers_freed_bytes_total', {})
    this.#zero('anchorage_checkpoint_written_bytes_total', {})
    this.#zero('anchorage_broken_streams_total', {})
    this.#zero('anchorage_ignored_offers_total', {})
    for (const kind of ['command', 'control']) this.#zero('anchorage_skipped_entries_total', { kind })
    for (const event of ['marked', 'sealed', 'disputed', 'lost'])
      this.#zero('anchorage_anchor_events_total', { event })
    for (const whose of ['own', 'other']) this.#zero('anchorage_divergences_total', { whose })
    for (const event of ['captured', 'cut', 'adopted', 'revived', 'expired', 'withdrawn', 'failed'])
      this.#zero('anchorage_offer_events_total', { event })
    for (const [direction, outcome] of CHUNK_WAYS) {
      this.#zero('anchorage_chunks_total', { direction, outcome })
      this.#zero('anchorage_chunk_bytes_total', { direction, outcome })
    }
    for (const outcome of ['installed', 'failed', 'stopped'])
      this.#zero('anchorage_catch_ups_total', { outcome })
    for (const event of ['written', 'loaded', 'skipped', 'dropped'])
      this.#zero('anchorage_checkpoint_events_total', { event })
    for (const phase of PHASES) this.#series.zero('anchorage_catch_up_phase_seconds', { phase })
    for (const name of ['anchorage_catch_up_seconds', 'anchorage_cut_seconds'] as const)
      this.#series.zero(name, {})
    this.#series.zero('anchorage_checkpoint_seconds', {})
    this.#series.set('anchorage_catch_up_progress_ratio', {}, 0)
    this.#series.set('anchorage_catch_up_providers', {}, 0)
  }

  #zero<Name extends NamesOf<'counter'>>(name: Name, labels: LabelsOf<Name>): void {
    this.#series.add(name, labels, 0)
  }

  #sync(event: SyncEvent): void {
    switch (event.type) {
      case 'served':
        return this.#chunk('served', 'good', event.bytes)
      case 'fetched':
        return this.#chunk('fetched', event.outcome, event.bytes)
      case 'recalled':
        return this.#chunk('recalled', 'good', event.bytes)
      case 'captured':
      case 'cut':
      case 'revived':
      case 'adopted':
      case 'released':
      case 'freed':
        return this.#offer(event)
      case 'refused':
        return this.#error('anchorage_refusals_total', event.error)
      case 'broken':
        return this.#series.add('anchorage_broken_streams_total', {})
      case 'named':
        return
      case 'ignored':
        return this.#series.add('anchorage_ignored_offers_total', {})
      case 'session':
        return this.#session(event.state)
      case 'fault':
        return this.#error('anchorage_peer_faults_total', event.error)
      case 'anchor-lost':
        return this.#series.add('anchorage_anchor_events_total', { event: 'lost' })
      case 'asked-again':
        return this.#error('anchorage_anchor_requests_deferred_total', event.error)
    }
  }

  #chunk(direction: string, outcome: string, bytes: number): void {
    this.#series.add('anchorage_chunks_total', { direction, outcome })
    this.#series.add('anchorage_chunk_bytes_total', { direction, outcome }, bytes)
  }

  #offer(event: AvailableEvent): void {
    if (event.type === 'freed') return this.#series.add('anchorage_offers_freed_bytes_total', {}, event.bytes)
    if (event.type === 'cut') this.#series.observe('anchorage_cut_seconds', {}, event.tookMs / 1_000)
    const name = event.type === 'released' ? event.cause : event.type
    this.#series.add('anchorage_offer_events_total', { event: name })
  }

  #session(state: SessionState): void {
    switch (state.status) {
      case 'requesting':
        if (!this.#isCatchingUp) this.#series.add('anchorage_catch_ups_begun_total', {})
        this.#isCatchingUp = true
        return
      case 'fetching':
        return this.#progress(state.chunks / Math.max(1, state.chunksTotal), state.providers.length)
      case 'done':
        return this.#sessionEnded('installed')
      case 'failed':
        return this.#sessionEnded(state.reason instanceof ReplicaStopped ? 'stopped' : 'failed')
      case 'choosing':
      case 'verifying':
      case 'installing':
        return
      default:
        return state satisfies never
    }
  }

  #sessionEnded(outcome: 'installed' | 'failed' | 'stopped'): void {
    this.#isCatchingUp = false
    this.#series.add('anchorage_catch_ups_total', { outcome })
    this.#progress(0, 0)
  }

  #progress(ratio: number, providers: number): void {
    this.#series.set('anchorage_catch_up_progress_ratio', {}, ratio)
    this.#series.set('anchorage_catch_up_providers', {}, providers)
  }

  #caughtUp({ phasesMs, replayMs, totalMs }: CatchUpReport): void {
    const phases = { ...phasesMs, replay: replayMs }
    for (const phase of PHASES)
      this.#series.observe('anchorage_catch_up_phase_seconds', { phase }, phases[phase] / 1_000)
    this.#series.observe('anchorage_catch_up_seconds', {}, totalMs / 1_000)
  }

  #checkpoint(event: CheckpointEvent): void {
    if (event.type === 'freed') return
    this.#series.add('anchorage_checkpoint_events_total', { event: event.type })
    if (event.type === 'written' || event.type === 'loaded')
      this.#series.set('anchorage_checkpoint_position', {}, event.position.index)
    if (event.type !== 'written') return
    this.#series.set('anchorage_checkpoint_written_timestamp_seconds', {}, Date.now() / 1_000)
    this.#series.set('anchorage_checkpoint_size_bytes', {}, event.wholeBytes)
    this.#series.add('anchorage_checkpoint_written_bytes_total', {}, event.bytes)
    this.#series.observe('anchorage_checkpoint_seconds', {}, event.tookMs / 1_000)
  }

  #error(name: CodeMetric, error: Error): void {
    let codes = this.#codes.get(name)
    if (codes === undefined) {
      codes = new Set()
      this.#codes.set(name, codes)
    }
    const code = errorCode(error)
    const isTold = codes.size < CODES_MAX || codes.has(code)
    if (isTold) codes.add(code)
    this.#series.add(name, { code: isTold ? code : OTHER_CODE })
  }
}

const PHASES = ['request', 'cut', 'fetch', 'install', 'replay'] as const

const CHUNK_WAYS = [
  ['served', 'good'],
  ['fetched', 'good'],
  ['fetched', 'twice'],
  ['fetched', 'wrong'],
  ['fetched', 'unwanted'],
  ['recalled', 'good'],
] as const

/** The metrics that a replica has only once something happened: the others are there from the beginning. */
export const AFTER_EVENTS: ReadonlySet<MetricName> = new Set([
  'anchorage_pruned_position',
  'anchorage_checkpoint_position',
  'anchorage_checkpoint_written_timestamp_seconds',
  'anchorage_checkpoint_size_bytes',
  'anchorage_refusals_total',
  'anchorage_peer_faults_total',
  'anchorage_anchor_requests_deferred_total',
  'anchorage_problems_total',
])
