import { bareReplay, caughtUp, ordinaryReplay } from '../../src/cli/demo/measured.ts'
import { appendAll } from '../../src/cli/log/append-all.ts'
import { type CatchUpReport, ReplicatedMap, sqliteLog } from '../../src/index.ts'
import { samePosition } from '../../src/replica/index.ts'
import { type Cluster, startCluster } from '../../src/testing/index.ts'
import { history } from './catch-up/history.ts'
import { warmJoins } from './catch-up/warm.ts'
import { type Benchmark, type Pair, shared } from './runner.ts'

const ITEMS = 1_000_000
/** Log entries for each item. */
const ROUNDS = 10
const PROVIDERS = 3
/**
 * The TTL of offers, in milliseconds. They expire sooner than by default, but not before the next replica
 * joins.
 */
const TTL_MS = 5_000
/** The longest wait, in milliseconds, which no wait should need. */
const WAIT_MS = 10 * 60_000

interface Measured {
  /** Our replay and the bare loop. */
  readonly replay: Pair
  /** Catch-ups, each with our replay. */
  readonly cold: readonly Pair[]
  readonly again: readonly Pair[]
}

/**
 * Processes on one machine share a SQLite file of 10,000,000 entries. These set 1,000,000 keys to JSON
 * strings of 100 characters, too random to be sent compressed. The first replica replays them all, alone on
 * the machine: that is the best case for the baseline of the catch-ups. Then it serves, and two more replicas
 * catch up from it and serve too. The log is not pruned: joiners prefer a snapshot because they are far
 * behind.
 */
const measured = shared(async (scale, wanted): Promise<Measured> => {
  await using cluster = await startCluster({ replicas: 0, options: { ttlMs: TTL_MS } })
  const items = Math.ceil(ITEMS * scale)
  await load(cluster, items)
  const task = { log: { log: cluster.logPath }, group: cluster.group }
  const plain = await bareReplay(task, AbortSignal.timeout(WAIT_MS))
  if (plain.items !== items) throw new Error('the log does not hold every item')
  const first = await cluster.start({ snapshotAfter: Number.POSITIVE_INFINITY })
  const replayMs = await ordinaryReplay(first, { timeoutMs: WAIT_MS })
  await cluster.leader()
  const others = Array.from({ length: PROVIDERS - 1 }, async () => {
    const provider = await cluster.start({ snapshotAfter: 0 })
    await provider.inSync()
  })
  await Promise.all(others)

  // This join is not counted. Afterwards all three have served.
  await join(cluster, items)
  const cold: Pair[] = []
  const again: Pair[] = []
  for (let run = 0; run < wanted; run++) {
    await expired(cluster)
    const first = await join(cluster, items)
    const second = await join(cluster, items)
    if (!samePosition(first.anchor, second.anchor)) throw new Error('the snapshot was cut anew')
    cold.push({ ours: first.totalMs, baseline: replayMs })
    again.push({ ours: second.totalMs, baseline: replayMs })
  }
  return { replay: { ours: replayMs, baseline: plain.tookMs }, cold, again }
})

const REPLAY = 'a new replica replays the log instead, 10 entries for each item; measured once'

/**
 * How long a replica without a state takes until it is in sync, by its own report: from noticing that it
 * lags. And what that costs its processor.
 */
export const catchUp: readonly Benchmark[] = [
  {
    name: 'catch-up/replay',
    unit: 'ms',
    baseline: 'a bare loop reads the same log and sets the items in a tree of the same make',
    target: { ratioMax: 1.67 },
    measure: async (scale, pairs) => [(await measured(scale, pairs)).replay],
  },
  {
    // No snapshot is offered. The three providers capture, cut and attest one while it is fetched.
    name: 'catch-up/cold',
    unit: 'ms',
    baseline: REPLAY,
    target: { ratioMax: 0.1 },
    measure: async (scale, pairs) => (await measured(scale, pairs)).cold,
  },
  {
    // The next joiner gets the same anchor.
    name: 'catch-up/again',
    unit: 'ms',
    baseline: REPLAY,
    target: { ratioMax: 0.05 },
    measure: async (scale, pairs) => (await measured(scale, pairs)).again,
  },
  {
    name: 'catch-up/warm',
    unit: 'ms of CPU',
    baseline: "of a raw stream's receiver that hashes as many bytes; ours is beyond an idle replica's",
    target: { ratioMax: 1.5 },
    measure: warmJoins,
  },
]

/** Write straight into the log's file, while no replica follows it. */
async function load({ logPath, group }: Cluster, items: number): Promise<void> {
  const { signature } = new ReplicatedMap()
  const log = await sqliteLog({ path: logPath }).open({ group, signature, author: 'benchmark' })
  try {
    await appendAll(log, history(items, ROUNDS), () => {})
  } finally {
    await log.close()
  }
}

async function join(cluster: Cluster, items: number): Promise<CatchUpReport> {
  const joiner = await cluster.start({ lead: false, snapshotAfter: 0 })
  const report = await caughtUp(joiner, { timeoutMs: WAIT_MS })
  if ((await joiner.size()) !== items) throw new Error('the state is not whole')
  await joiner.stop()
  return report
}

/** Resolves when no snapshot is offered any more. */
async function expired(cluster: Cluster): Promise<void> {
  const nobodyOffers = async () => {
    const statuses = await Promise.all(
      cluster.replicas.flatMap((replica) => (replica.running ? [replica.status()] : [])),
    )
    return statuses.every(({ offers }) => offers.length === 0)
  }
  await cluster.waitUntil('offers expire', nobodyOffers, { timeoutMs: WAIT_MS })
}
