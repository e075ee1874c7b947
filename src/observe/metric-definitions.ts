/** What each metric is: docs/metrics.md says when to worry. A test holds both against each other. */

/** What a metric is. */
export interface MetricDefinition {
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly help: string
  /** Beside `group`, `replica` and those that the application adds. Each takes few values, none of a peer's choice. */
  readonly labels?: readonly string[]
}

/** Upper bounds of the buckets of every histogram, in seconds: a catch-up takes from 50 ms to an hour. */
export const BUCKETS_S = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3_600]

/** All metrics of a replica, by name. `docs/metrics.md` says what each means. */
export const METRICS = {
  anchorage_build_info: { type: 'gauge', help: 'Always 1', labels: ['version'] },

  anchorage_state: {
    type: 'gauge',
    help: '1 for the state that the replica is in, 0 else',
    labels: ['state'],
  },
  anchorage_members: {
    type: 'gauge',
    help: 'Members of the group with a fresh announcement',
    labels: ['state'],
  },
  anchorage_is_leader: { type: 'gauge', help: '1 if the replica leads the group' },
  anchorage_term: { type: 'gauge', help: 'The term of the newest leader' },
  anchorage_leader_changes_total: { type: 'counter', help: 'Claims of the office that won' },
  anchorage_group_format: { type: 'gauge', help: "The format of the group's own state" },
  anchorage_upgrades_total: { type: 'counter', help: 'How often the group went over to another version' },

  anchorage_applied_position: { type: 'gauge', help: 'Index of the newest entry in the state' },
  anchorage_log_position: { type: 'gauge', help: 'Index of the newest entry in the log' },
  anchorage_log_first_position: { type: 'gauge', help: 'Index of the oldest entry that the log holds' },
  anchorage_log_entries: { type: 'gauge', help: 'Entries that the log holds' },
  anchorage_log_held_entries: {
    type: 'gauge',
    help: 'Entries of the log that would stay for this reason alone',
    labels: ['reason'],
  },
  anchorage_log_connected: { type: 'gauge', help: "1 while the log's servers can be reached" },
  anchorage_log_disconnections_total: { type: 'counter', help: "How often the log's servers were lost" },
  anchorage_lag_entries: { type: 'gauge', help: 'Entries in the log that are not in the state' },
  anchorage_lag_seconds: { type: 'gauge', help: 'Age of the state against the newest entry of the log' },
  anchorage_skipped_entries_total: {
    type: 'counter',
    help: 'Entries that did nothing here',
    labels: ['kind'],
  },
  anchorage_prunes_total: { type: 'counter', help: 'Prunes that this replica made while it led' },
  anchorage_pruned_position: { type: 'gauge', help: 'Index up to which this replica pruned the log last' },

  anchorage_anchor_events_total: { type: 'counter', help: 'What became of anchors', labels: ['event'] },
  anchorage_divergences_total: {
    type: 'counter',
    help: 'Roots that are not the sealed one',
    labels: ['whose'],
  },
  anchorage_offers: { type: 'gauge', help: 'Snapshots that the replica offers now', labels: ['ready'] },
  anchorage_offer_events_total: { type: 'counter', help: 'What became of offers', labels: ['event'] },
  anchorage_offers_freed_bytes_total: {
    type: 'counter',
    help: 'Memory of released offers that was given back',
  },
  anchorage_cut_seconds: {
    type: 'histogram',
    help: 'From the capture of a state until it was cut into chunks',
  },

  anchorage_chunks_total: { type: 'counter', help: 'Chunks of snapshots', labels: ['direction', 'outcome'] },
  anchorage_chunk_bytes_total: {
    type: 'counter',
    help: 'Bytes of chunks of snapshots',
    labels: ['direction', 'outcome'],
  },
  anchorage_catch_ups_begun_total: { type: 'counter', help: 'Catch-ups from peers that were begun' },
  anchorage_catch_ups_total: {
    type: 'counter',
    help: 'Catch-ups from peers that ended',
    labels: ['outcome'],
  },
  anchorage_catch_up_progress_ratio: {
    type: 'gauge',
    help: 'Chunks that are here, of those that are known of, while a snapshot is fetched',
  },
  anchorage_catch_up_providers: {
    type: 'gauge',
    help: 'Peers that sent a chunk of the snapshot being fetched',
  },
  anchorage_catch_up_phase_seconds: {
    type: 'histogram',
    help: 'How long each phase of a catch-up took',
    labels: ['phase'],
  },
  anchorage_catch_up_seconds: { type: 'histogram', help: 'From noticing the lag until in sync' },

  anchorage_checkpoint_events_total: {
    type: 'counter',
    help: 'What became of checkpoints',
    labels: ['event'],
  },
  anchorage_checkpoint_position: { type: 'gauge', help: 'Index of the newest checkpoint on the disk' },
  anchorage_checkpoint_written_timestamp_seconds: {
    type: 'gauge',
    help: 'When this process wrote its newest checkpoint, since 1970',
  },
  anchorage_checkpoint_size_bytes: { type: 'gauge', help: 'Size of the newest checkpoint' },
  anchorage_checkpoint_written_bytes_total: { type: 'counter', help: 'Bytes written for checkpoints' },
  anchorage_checkpoint_seconds: { type: 'histogram', help: 'How long it took to write a checkpoint' },

  anchorage_refusals_total: { type: 'counter', help: 'Errors that peers were told', labels: ['code'] },
  anchorage_broken_streams_total: { type: 'counter', help: 'Streams of peers that broke' },
  anchorage_peer_faults_total: {
    type: 'counter',
    help: 'Failures of peers that a catch-up asked',
    labels: ['code'],
  },
  anchorage_anchor_requests_deferred_total: {
    type: 'counter',
    help: 'Requests for an anchor that are to be repeated later',
    labels: ['code'],
  },
  anchorage_ignored_offers_total: { type: 'counter', help: 'Offers of peers that no catch-up waited for' },
  anchorage_problems_total: { type: 'counter', help: 'Problems that were reported', labels: ['code'] },
} as const satisfies Record<`anchorage_${string}`, MetricDefinition>

type Metrics = typeof METRICS
/** The name of a metric. */
export type MetricName = keyof Metrics

/** The names of the metrics of one type. */
export type NamesOf<Type extends MetricDefinition['type']> = {
  [Name in MetricName]: Metrics[Name]['type'] extends Type ? Name : never
}[MetricName]

/** The labels of one metric. */
export type LabelsOf<Name extends MetricName> = Metrics[Name] extends {
  readonly labels: readonly (infer Label extends string)[]
}
  ? Readonly<Record<Label, string>>
  : Readonly<Record<never, string>>

/** Labels that the application cannot add, because metrics have them. */
export const TAKEN_LABELS: ReadonlySet<string> = new Set([
  'le',
  ...Object.values<MetricDefinition>(METRICS).flatMap(({ labels = [] }) => labels),
])
