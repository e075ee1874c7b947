import type { ComponentLogger, PrivateKey } from '@libp2p/interface'
import type { Libp2pOptions } from 'libp2p'
import type { LogBackend } from '../log/log.ts'
import type { StateMachine } from '../machine/machine.ts'
import type { ProviderLimits } from '../sync/limits.ts'
import type { Clock } from '../time/clock.ts'
import type { CheckpointPolicy } from './disk/checkpointer.ts'
import type { PrunePolicy } from './membership/pruner.ts'
import type { UpgradePolicy } from './membership/upgrader.ts'
import type { NetworkKeys } from './node/network-key.ts'
import type { Logger } from './warnings.ts'

/** Options of `createReplica`. It rejects with `RangeError` for one that is impossible. */
export interface ReplicaInit<Result> {
  /**
   * The group's name, of 1 to 512 bytes of UTF-8 without control characters. Replicas of one group share one
   * log and one kind of machine.
   */
  readonly group: string
  /** What is replicated. Its signature has 1 to 1,024 bytes, without control characters. */
  readonly machine: StateMachine<Result>
  /** Where entries are ordered: `sqliteLog`, `jetstreamLog`, `postgresLog`, `memoryLog`, or a backend of your own. */
  readonly log: LogBackend
  /**
   * Multiaddrs to listen on: `/ip4/0.0.0.0/tcp/4100`. `createReplica` rejects with `ListenFailed` if one of them cannot
   * be listened on. Default: any free port of 127.0.0.1.
   */
  readonly listen?: readonly string[]
  /**
   * Multiaddrs that others dial to reach this replica, in the place of those it listens on: a container's
   * published port, the outside of a NAT, a host's name. Each names a host and a port. Default: the addresses
   * it listens on.
   */
  readonly announce?: readonly string[]
  /**
   * A directory of this replica's own, made if it is not there. It keeps the replica's key and checkpoints of
   * its state, so that a restart needs neither the network nor the log's beginning. `createReplica` rejects with
   * `DirectoryInUse` or `DirectoryUnusable`. Default: none, the state is in memory only.
   */
  readonly dataDir?: string
  /**
   * True: begin without the state in `dataDir`, although it is of another log: one that was deleted and made
   * again, or that is not there any more. Its checkpoints are left where they are. `dataDir` belongs to this
   * log from then on, so give this option once, and not in a service's own command line. Default false:
   * `createReplica` rejects with `DirectoryOfAnotherLog`.
   */
  readonly newLog?: boolean
  /** When to write checkpoints into `dataDir`. Default: the defaults of `CheckpointPolicy`. */
  readonly checkpoint?: CheckpointPolicy
  /** Who this replica is: its PeerId follows from the key. Default: the key in `dataDir`, or a new Ed25519 key. */
  readonly privateKey?: PrivateKey
  /** False makes a reader, which never takes office. Default true. */
  readonly lead?: boolean
  /**
   * True allows pruning although no replica keeps its state on disk. When all replicas of the group are down
   * at once, the pruned part of the state is gone. Meant for caches. Default false.
   */
  readonly volatile?: boolean
  /**
   * Have the leader prune the group's log by itself. Needs `dataDir`, or `volatile`: otherwise `createReplica` rejects
   * with `PruneRefused`. Default: by the policies of the other members, and when `prune()` is called.
   */
  readonly prune?: PrunePolicy
  /**
   * When this replica, leading, has the group go over to a newer version, of the machine or of Anchorage's
   * own format. `'auto'`: once all members have spoken it for 30 s; `{ afterMs }`: for so many milliseconds, from 0;
   * `'manual'`: only when `upgrade()` is called. Default `'auto'`. Before that the members behave as the older version
   * did, and can be put back to it.
   */
  readonly upgrade?: UpgradePolicy
  /**
   * On start, a replica this many entries behind asks for a snapshot although it could replay the log, if any
   * member serves one. A number from 0. Default 100,000. `Infinity`: only when the log was pruned.
   */
  readonly snapshotAfter?: number
  /**
   * Average size of the chunks that this replica's markers ask for, in bytes from 1 to 8 MiB. A chunk has from half
   * of it to twice as much, and a last item. Default 1 MiB. A snapshot has at most 262,144 chunks.
   */
  readonly chunkBytes?: number
  /**
   * How long the leader may be silent before others take office, in milliseconds from 250 to an hour.
   * Announcements live as long. Default 5,000.
   */
  readonly leaseMs?: number
  /** How long an offer lives when nobody fetches, in milliseconds from 250 to 2^31 - 1. Default 10,000. */
  readonly ttlMs?: number
  /**
   * How long to wait for an anchor to be named, offered or sealed, in milliseconds from 500 to 2^31 - 1.
   * Default 15,000.
   */
  readonly requestTimeoutMs?: number
  /**
   * How long a provider may send nothing while an answer is due, in milliseconds from 250 to 2^31 - 1.
   * Default 5,000.
   */
  readonly fetchTimeoutMs?: number
  /** What this replica does for peers at most. Default for each that is not given: as `ProviderLimits` says. */
  readonly limits?: Partial<ProviderLimits>
  /**
   * Asked about members of the group too: false keeps the peer of that PeerId from fetching here. A call that
   * throws counts as false. Default: every member may.
   */
  readonly authorize?: (peer: string) => boolean | Promise<boolean>
  /**
   * A pre-shared key of the whole network, as `anchorage network-key` makes one. A peer without it cannot
   * even begin to talk to this replica. Two keys while one replaces the other, the new one first: as the
   * content of one file, or as `[newKey, oldKey]`. Peers may have either then. Default: none.
   */
  readonly networkKey?: NetworkKeys
  /**
   * Takes a line for each problem, dispute and divergence, and when this replica halts or loses its state; each
   * once. `console` is one. False: nobody is told. Default: standard error, for those of them that no listener
   * of this replica's events (`problem`, `disputed`, `divergence`, `state`) takes.
   *
   * Or a logger of js-libp2p, with `forComponent`: it takes a line for every event, under `anchorage:replica`,
   * `anchorage:sync` and so on, and the lines of libp2p. With any other logger these are shown where `DEBUG` in the
   * environment names them: `DEBUG=anchorage*`.
   */
  readonly logger?: Logger | ComponentLogger | false
  /** Other transports, encryption, muxers or services for the libp2p node. Default: TCP, Noise and Yamux. */
  readonly libp2p?: Libp2pOptions
  /** Default: the machine's monotonic clock. */
  readonly clock?: Clock
  /** A number from 0 up to 1. Default `Math.random`. */
  readonly random?: () => number
}

export const SNAPSHOT_AFTER_DEFAULT = 100_000
