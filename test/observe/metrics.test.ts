import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import type { LogConnection } from '../../src/log/log.ts'
import { METRICS } from '../../src/observe/metric-definitions.ts'
import { type ObservedReplica, observeReplica } from '../../src/observe/observed-replica.ts'
import { packageVersion } from '../../src/package-version.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import { wrongBytes } from '../../src/testing/simulation/hostile/lies.ts'
import { Liar } from '../replica/byzantine-peers.ts'
import { alteredLog, Cluster, leads, next, type Started, when } from '../replica/cluster.ts'
import { HostilePeer, nextSync } from '../replica/hostile.ts'
import { Journal, line } from '../replica/journal.ts'
import { Scrape } from './scrape.ts'

const observe = ({ replica }: Started): ObservedReplica => observeReplica(replica, { processMetrics: false })

async function write({ replica }: Started, lines: number): Promise<void> {
  for (let n = 0; n < lines; n++) await replica.submit(line(`line ${n}`))
}

/** A directory for a replica, for one test. */
async function directory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'anchorage-metrics-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

test('a leader that writes, prunes and serves, and a joiner that catches up from it', async () => {
  await using cluster = new Cluster()
  await using data = await directory()
  const leader = await cluster.start({ dataDir: data.path, volatile: false, upgrade: { afterMs: 100 } })
  using observed = observe(leader)
  const before = await Scrape.of(observed)
  expect(before.value('anchorage_build_info', { version: packageVersion() })).toBe(1)
  expect(before.value('anchorage_leader_changes_total')).toBe(0)
  await leads(leader.replica)
  await write(leader, 20)
  await leader.replica.submit(line('malformed'))
  const anchor = await leader.replica.mark()
  await leader.replica.checkpointed(anchor)
  const pruned = await leader.replica.prune({ keepEntries: 0 })
  const offered = await Scrape.of(observed)
  expect(offered.values('anchorage_offer_events_total', 'event')).toMatchObject({ captured: 1, cut: 1 })
  expect(offered.value('anchorage_offers', { ready: 'true' })).toBe(1)
  expect(offered.value('anchorage_cut_seconds_count')).toBe(1)

  const joiner = await cluster.start({ lead: false })
  using joining = observe(joiner)
  const caughtUp = await next(joiner.replica, 'caught-up')
  await joiner.replica.inSync()

  const led = await Scrape.of(observed)
  expect(led.values('anchorage_state', 'state')).toMatchObject({ 'in-sync': 1, lost: 0 })
  expect(led.value('anchorage_is_leader')).toBe(1)
  expect(led.value('anchorage_term')).toBe(leader.replica.term)
  expect(led.value('anchorage_leader_changes_total')).toBe(leader.replica.counts.get('leader'))
  expect(led.value('anchorage_group_format')).toBe(leader.replica.format)
  expect(led.value('anchorage_log_connected')).toBe(1)
  const { newest, first } = (await leader.replica.lag()).log
  expect(led.value('anchorage_applied_position')).toBe(newest.index)
  expect(led.value('anchorage_log_position')).toBe(newest.index)
  expect([pruned, led.value('anchorage_log_first_position')]).toEqual([first - 1, first])
  expect(led.value('anchorage_log_entries')).toBe(newest.index - first + 1)
  expect(led.value('anchorage_skipped_entries_total', { kind: 'command' })).toBe(1)
  expect(led.values('anchorage_anchor_events_total', 'event')).toMatchObject({ marked: 1, sealed: 1 })
  expect(led.value('anchorage_prunes_total')).toBe(1)
  expect(led.value('anchorage_pruned_position')).toBe(pruned)
  expect(led.values('anchorage_checkpoint_events_total', 'event')).toMatchObject({ written: 1, skipped: 0 })
  expect(led.value('anchorage_checkpoint_position')).toBe(anchor.index)
  expect(led.value('anchorage_checkpoint_written_timestamp_seconds')).toBeCloseTo(Date.now() / 1_000, -2)
  expect(led.value('anchorage_checkpoint_size_bytes')).toBeGreaterThan(0)
  expect(led.value('anchorage_checkpoint_written_bytes_total')).toBeGreaterThan(0)
  expect(led.value('anchorage_checkpoint_seconds_count')).toBe(1)
  const held = led.values('anchorage_log_held_entries', 'reason')
  expect(held).toMatchObject({ policy: newest.index - first + 1, checkpoint: newest.index - anchor.index })
  expect(held.offer).toBe(newest.index - caughtUp.anchor.index + 1)

  const joined = await Scrape.of(joining)
  expect(joined.values('anchorage_members', 'state')).toMatchObject({ 'in-sync': 2 })
  expect(joined.value('anchorage_catch_ups_begun_total')).toBe(1)
  expect(joined.values('anchorage_catch_ups_total', 'outcome')).toEqual({
    installed: 1,
    failed: 0,
    stopped: 0,
  })
  expect(joined.value('anchorage_catch_up_seconds_sum')).toBeCloseTo(caughtUp.totalMs / 1_000, 6)
  const phases = { ...caughtUp.phasesMs, replay: caughtUp.replayMs }
  for (const [phase, ms] of Object.entries(phases)) {
    expect(joined.value('anchorage_catch_up_phase_seconds_count', { phase })).toBe(1)
    expect(joined.value('anchorage_catch_up_phase_seconds_sum', { phase })).toBeCloseTo(ms / 1_000, 6)
  }
  const fetched = { direction: 'fetched', outcome: 'good' }
  const served = { direction: 'served', outcome: 'good' }
  const chunks = joined.value('anchorage_chunks_total', fetched)
  expect(chunks).toBeGreaterThan(1)
  expect(joined.value('anchorage_chunk_bytes_total', fetched)).toBe(caughtUp.bytesFetched)
  expect(led.value('anchorage_chunks_total', served)).toBe(chunks)
  expect(led.value('anchorage_chunk_bytes_total', served)).toBe(caughtUp.bytesFetched)
  expect(led.values('anchorage_offer_events_total', 'event').revived).toBeGreaterThan(0)
})

test('offers lapse, give memory back, are withdrawn, and offered again after a restart', async () => {
  await using cluster = new Cluster()
  await using data = await directory()
  const init: Partial<ReplicaInit<number>> = { dataDir: data.path, volatile: false, ttlMs: 300 }
  const first = await cluster.start(init)
  using observed = observe(first)
  await leads(first.replica)
  await write(first, 5)
  const freed = nextSync(first.replica, 'freed')
  await first.replica.mark()
  const { bytes } = await freed
  const lapsed = await Scrape.of(observed)
  expect(lapsed.values('anchorage_offer_events_total', 'event')).toMatchObject({ expired: 1, withdrawn: 0 })
  expect(lapsed.value('anchorage_offers_freed_bytes_total')).toBe(bytes)
  expect(lapsed.values('anchorage_offers', 'ready')).toEqual({ true: 0, false: 0 })
  await first.replica.stop()

  const second = await cluster.start({ ...init, ttlMs: 60_000 })
  await second.replica.inSync()
  await second.replica.checkpointed(await second.replica.mark())
  using offering = observe(second)
  await second.replica.stop()
  const ended = await Scrape.of(offering)
  expect(ended.values('anchorage_offer_events_total', 'event')).toMatchObject({ withdrawn: 1 })
  expect(ended.values('anchorage_state', 'state')).toMatchObject({ stopped: 1, 'in-sync': 0 })

  const third = await cluster.start({ ...init, ttlMs: 60_000 })
  using again = observe(third)
  await third.replica.inSync()
  const began = await Scrape.of(again)
  expect(began.values('anchorage_offer_events_total', 'event')).toMatchObject({ adopted: 1, captured: 0 })
  expect(began.values('anchorage_checkpoint_events_total', 'event')).toMatchObject({ loaded: 1, written: 0 })
})

class NewerJournal extends Journal {
  override readonly signature = 'journal/2'
  readonly older = ['journal/1']
  upgrade(): void {}
}

test('a group that goes over to another version', async () => {
  await using cluster = new Cluster()
  await (await cluster.start()).replica.stop()
  const started = await cluster.start({ upgrade: { afterMs: 50 } }, new NewerJournal())
  using observed = observe(started)
  await next(started.replica, 'upgraded')
  const events = started.replica.counts.get('upgraded')
  expect((await Scrape.of(observed)).value('anchorage_upgrades_total')).toBe(events)
})

test('two replicas of different states dispute an anchor, and a joiner loses it', async () => {
  await using cluster = new Cluster()
  const [leader, wrong] = (await cluster.startLed(1)) as [Started, Started]
  wrong.journal.twist = (text) => (text === 'line 1' ? 'something else' : text)
  using observed = observe(leader)
  await write(leader, 3)
  await wrong.replica.barrier()
  await leader.replica.prune({ keepEntries: 0 })
  const joiner = await cluster.start({ lead: false })
  using joining = observe(joiner)
  await Promise.all([next(leader.replica, 'disputed'), nextSync(joiner.replica, 'anchor-lost')])
  const anchors = (await Scrape.of(observed)).values('anchorage_anchor_events_total', 'event')
  expect(anchors).toMatchObject({ disputed: leader.replica.counts.get('disputed'), sealed: 0 })
  const lost = joiner.replica.counts.get('anchor-lost')
  const joined = await Scrape.of(joining)
  expect(joined.values('anchorage_anchor_events_total', 'event').lost).toBeGreaterThanOrEqual(lost!)
  await joiner.replica.stop()
  const stopped = (await Scrape.of(joining)).values('anchorage_catch_ups_total', 'outcome')
  expect(stopped).toEqual({ installed: 0, failed: 0, stopped: 1 })
})

test('one replica of three that diverged, as it and another count it, and what it has need not be fetched', async () => {
  await using cluster = new Cluster()
  const [leader, other, wrong] = (await cluster.startLed(2)) as [Started, Started, Started]
  wrong.journal.twist = (text) => (text === 'line 1' ? 'something else' : text)
  using observed = observe(other)
  using ofWrong = observe(wrong)
  await write(leader, 20)
  await Promise.all([other, wrong].map(({ replica }) => replica.barrier()))
  const told = [other, wrong].map(({ replica }) => next(replica, 'divergence'))
  await leader.replica.mark()
  await Promise.all(told)
  const whose = async (one: ObservedReplica) =>
    (await Scrape.of(one)).values('anchorage_divergences_total', 'whose')
  expect([await whose(observed), await whose(ofWrong)]).toEqual([
    { own: 0, other: 1 },
    { own: 1, other: 0 },
  ])
  await when(wrong.replica, 'state', () => wrong.replica.state === 'in-sync')
  const mended = await Scrape.of(ofWrong)
  const chunks = (direction: string) => mended.value('anchorage_chunks_total', { direction, outcome: 'good' })
  expect(chunks('recalled')).toBeGreaterThan(0)
  expect(chunks('fetched')).toBeGreaterThan(0)
})

test('a provider that lies: its chunks are wrong, and its fault is counted by code', async () => {
  await using cluster = new Cluster()
  let isAnchored = false
  const honest = Promise.withResolvers<boolean>()
  const liars = new Set<string>()
  const [leader] = await cluster.startLed(0, {
    authorize: (peer) => (isAnchored && !liars.has(peer) ? honest.promise : true),
  })
  await write(leader, 20)
  await leader.replica.prune({ keepEntries: 0 })
  await using liar = await Liar.start(cluster.log, leader.replica, wrongBytes)
  liars.add(liar.id)
  leader.replica.addEventListener('sync', ({ detail }) => {
    if (detail.type === 'captured') isAnchored = true
  })
  const joiner = await cluster.start({ lead: false })
  using observed = observe(joiner)
  await nextSync(joiner.replica, 'fault', ({ peer }) => peer === liar.id)
  const scrape = await Scrape.of(observed)
  expect(scrape.value('anchorage_chunks_total', { direction: 'fetched', outcome: 'wrong' })).toBeGreaterThan(
    0,
  )
  const faults = scrape.values('anchorage_peer_faults_total', 'code')
  expect(Object.keys(faults)).toContain('MALFORMED')
  expect(scrape.text).not.toContain(liar.id)
  honest.resolve(true)
  await joiner.replica.inSync()
})

test('a stranger is refused, a push that nobody waits for is ignored, a stream breaks', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(0)
  using observed = observe(leader)
  await using stranger = await HostilePeer.stranger(cluster.log)
  const anchor = await stranger.newest()
  await (await stranger.open(leader.replica)).ask({ type: 'manifest', anchor, from: 0 })
  await using member = await HostilePeer.member(cluster.log)
  const stream = await member.open(leader.replica)
  await stream.ask({ type: 'offer', offer: { anchor, remainingMs: 1_000, ready: true } })
  const broken = nextSync(leader.replica, 'broken')
  stream.raw.abort(new Error('it leaves in the middle'))
  await broken
  const scrape = await Scrape.of(observed)
  expect(scrape.values('anchorage_refusals_total', 'code')).toEqual({ UNAUTHORIZED: 1 })
  expect(scrape.value('anchorage_ignored_offers_total')).toBe(1)
  expect(scrape.value('anchorage_broken_streams_total')).toBe(1)
})

/** Stands for the wire to the servers of a log. */
class Wire implements LogConnection {
  connected = true
  readonly #listeners = new Set<(connected: boolean) => void>()

  onChange(listener: (connected: boolean) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  turn(connected: boolean): void {
    this.connected = connected
    for (const listener of this.#listeners) listener(connected)
  }
}

test('a log whose servers are lost, and that goes on without this replica', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(0)
  const wire = new Wire()
  const log = alteredLog(cluster.log, (inner) => ({
    connection: wire,
    async *follow(cursor, options) {
      for await (const batch of inner.follow(cursor, options)) if (wire.connected) yield batch
    },
  }))
  const follower = await cluster.start({ log, lead: false })
  using observed = observe(follower)
  await follower.replica.inSync()
  wire.turn(false)
  const before = follower.replica.position.index
  await write(leader, 10)
  const scrape = await Scrape.of(observed)
  expect(scrape.value('anchorage_log_disconnections_total')).toBe(1)
  expect(scrape.value('anchorage_log_connected')).toBe(0)
  const { newest } = (await leader.replica.lag()).log
  expect(scrape.value('anchorage_lag_entries')).toBe(newest.index - before)
  expect(scrape.value('anchorage_lag_seconds')).toBeGreaterThan(0)
})

class HeldJournal extends Journal {
  readonly isFinishing = Promise.withResolvers<void>()
  readonly goOn = Promise.withResolvers<void>()

  override install() {
    const finish = async () => {
      this.isFinishing.resolve()
      await this.goOn.promise
    }
    return { ...super.install(), finish }
  }
}

test('while a joiner catches up, it tells how far it is, and of how many peers', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(0)
  await write(leader, 20)
  await leader.replica.prune({ keepEntries: 0 })
  const journal = new HeldJournal()
  const joiner = await cluster.start({ lead: false }, journal)
  using observed = observe(joiner)
  await journal.isFinishing.promise
  const during = await Scrape.of(observed)
  expect(during.value('anchorage_catch_up_progress_ratio')).toBe(1)
  expect(during.value('anchorage_catch_up_providers')).toBe(1)
  expect(during.values('anchorage_state', 'state')).toMatchObject({ 'catching-up': 1 })
  expect(observed.health.ready).toEqual({ ok: false, text: 'catching-up: installs the snapshot' })
  journal.goOn.resolve()
  await joiner.replica.inSync()
  const after = await Scrape.of(observed)
  expect(after.value('anchorage_catch_up_progress_ratio')).toBe(0)
  expect(after.value('anchorage_catch_up_providers')).toBe(0)
})

test('a marker that nobody can append, since nobody leads, is asked for again', async () => {
  await using cluster = new Cluster()
  const reader = await cluster.start({ lead: false, requestTimeoutMs: 500 })
  using observed = observe(reader)
  await expect(reader.replica.mark()).rejects.toMatchObject({ code: 'NOT_LEADER' })
  const deferred = (await Scrape.of(observed)).values('anchorage_anchor_requests_deferred_total', 'code')
  expect(deferred).toEqual({ NOT_LEADER: reader.replica.counts.get('asked-again') })
})

test('problems are counted by code', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(0, { requestTimeoutMs: 500 })
  await write(leader, 20)
  await leader.replica.prune({ keepEntries: 0 })
  // It announces a state, and serves none.
  await using _silent = await HostilePeer.member(cluster.log, { state: 'in-sync', applied: 20 })
  await leader.replica.stop()
  const joiner = await cluster.start({ lead: false, requestTimeoutMs: 500 })
  using observed = observe(joiner)
  const { name } = await next(joiner.replica, 'problem')
  const scrape = await Scrape.of(observed)
  expect(name).toBe('NoProvider')
  expect(scrape.values('anchorage_problems_total', 'code')).toMatchObject({ NO_PROVIDER: 1 })
  expect(scrape.values('anchorage_catch_ups_total', 'outcome').failed).toBeGreaterThan(0)
})

afterAll(() => {
  // Each of them is worth a test that makes it move.
  const unmoved = Object.keys(METRICS).filter((name) => !Scrape.moved.has(name))
  expect(unmoved).toEqual([])
})
