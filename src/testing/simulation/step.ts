/**
 * One thing that is done in a run, at a time, or when a replica next catches up from then on. What it does to
 * the world ends by itself after `forMs`.
 */
export type Step = { readonly atMs: number; readonly during?: 'catch-up' } & (
  | { readonly do: 'write'; readonly node: number; readonly count: number }
  | { readonly do: 'mark' | 'barrier' | 'prune'; readonly node: number }
  | { readonly do: 'pause'; readonly node: number; readonly forMs: number }
  | {
      readonly do: 'crash'
      readonly node: number
      /** At which of its calls from now: 0 is at once. */
      readonly calls: number
      readonly power: boolean
      readonly forMs: number
    }
  | { readonly do: 'restart'; readonly node: number; readonly forMs: number }
  | { readonly do: 'wipe'; readonly node: number; readonly forMs: number }
  | { readonly do: 'join'; readonly node: number; readonly forMs: number }
  | { readonly do: 'cut'; readonly from: number; readonly to: number; readonly forMs: number }
  | { readonly do: 'isolate' | 'silence'; readonly node: number; readonly forMs: number }
  | { readonly do: 'disconnect'; readonly from: number; readonly to: number }
  | {
      readonly do: 'slow'
      readonly node: number
      readonly latencyMs: number
      readonly bytesPerSecond: number
      readonly forMs: number
    }
  | { readonly do: 'log-away'; readonly node: number | 'all'; readonly forMs: number }
  | {
      readonly do: 'log-refuse' | 'log-lose-acks' | 'log-lose-requests' | 'log-tear'
      readonly count: number
    }
  | { readonly do: 'log-slow'; readonly node: number; readonly delayMs: number; readonly forMs: number }
  | { readonly do: 'step-wall'; readonly node: number | 'log'; readonly byMs: number }
  | {
      readonly do: 'disk-full' | 'disk-read-only' | 'disk-fails' | 'disk-lies'
      readonly node: number
      readonly forMs: number
    }
  /** With `forMs`, the process is started anew so long after it. */
  | { readonly do: 'rot'; readonly node: number; readonly forMs: number | undefined }
  | { readonly do: 'operator-prune'; readonly keep: number }
  | { readonly do: 'lose-presences' }
  | { readonly do: 'freeze-presences'; readonly node: number; readonly forMs: number }
  | { readonly do: 'hostile'; readonly kind: number; readonly forMs: number }
  | { readonly do: 'rewind'; readonly by: number }
  | { readonly do: 'recreate' }
  | { readonly do: 'copy-disk'; readonly from: number; readonly to: number }
  | { readonly do: 'old-backup'; readonly node: number; readonly forMs: number }
  | {
      /** The program is replaced by this version of it, and is away so long. */
      readonly do: 'roll'
      readonly node: number
      readonly to: number
      /** It is killed, and not stopped. */
      readonly killed: boolean
      readonly forMs: number
    }
  /** An operator has the group go over to the newest version that all speak, and begins with this replica. */
  | { readonly do: 'upgrade'; readonly node: number }
)

/** What a run is made of, beside its steps. */
export interface Settings {
  /** Replicas that are there from the start. */
  readonly replicas: number
  readonly log: 'local' | 'service'
  /** Whether replicas have a data directory. Without one they are `volatile`. */
  readonly durable: boolean
  /** As in `ReplicaInit`. */
  readonly leaseMs: number
  /** As in `ReplicaInit`. */
  readonly ttlMs: number
  /** As in `ReplicaInit`. */
  readonly requestTimeoutMs: number
  /** As in `ReplicaInit`. */
  readonly fetchTimeoutMs: number
  /** As in `PrunePolicy`. Undefined: replicas have no such policy. */
  readonly keepEntries: number | undefined
  /** As in `ReplicaInit`. */
  readonly snapshotAfter: number
  /** Commands from one checkpoint to the next, where replicas are durable. */
  readonly checkpointEvery: number
  /** From one node to another, in milliseconds of virtual time. */
  readonly latencyMs: number
  /** Added to the latency by chance, from 0 up to so many milliseconds. */
  readonly jitterMs: number
  /** What a node can send, and what it can receive, beside that. */
  readonly bytesPerSecond: number
  /** What a call of the disk takes on average, in milliseconds of virtual time. */
  readonly diskMs: number
  /** What a look at the clock takes, in milliseconds: so long work takes. */
  readonly lookMs: number
  /** How fast clocks go at the most apart from the world's: 0.01 is 1 percent. */
  readonly drift: number
  /**
   * How long all have to speak a newer version until the group goes over to it, in milliseconds, or that only
   * operators have it do so. Absent where there is one version.
   */
  readonly upgradeAfterMs?: number | 'manual'
}
