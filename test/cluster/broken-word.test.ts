import { afterAll, beforeAll, expect, test } from 'vitest'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { findNatsServer, isFitForClusters, natsServerVersion } from '../../src/testing/index.ts'
import { describeNats } from '../log/nats.ts'
import { pauseLeaders } from './broken-word.ts'

/**
 * How often the leader is stopped, for 6 to 9 s each. 3 are a minute: enough to see that nothing is broken. To judge a version of
 * `nats-server`: `NATS_SERVER=/path/to/nats-server BROKEN_WORD_ROUNDS=30 npx vitest run test/cluster/broken-word.test.ts`. That of 2.9.10
 * broke its word in 3 of 3 runs of 5 to 10 rounds.
 */
const ROUNDS = Number(process.env.BROKEN_WORD_ROUNDS ?? 3)
const PAUSE_MS_MIN = 6_000
const PAUSE_MS_MAX = 9_000
const SETTLE_MS = 4_000
const START_MS = 120_000
/** A follower compares some of what it reads: so many entries that are not the log's do not escape it. */
const DEAD_MIN = 100

const pausesMs = Array.from(
  { length: ROUNDS },
  (_, n) => PAUSE_MS_MIN + ((PAUSE_MS_MAX - PAUSE_MS_MIN) * n) / Math.max(1, ROUNDS - 1),
)

describeNats('three servers, and the one that leads is stopped again and again', () => {
  const isFit = isFitForClusters(natsServerVersion(findNatsServer() ?? ''))
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers({ servers: 3 })
  })
  afterAll(() => nats?.stop())

  test('keep what they acknowledged, if they are new enough; who was told what is not kept learns of it in seconds', {
    timeout: START_MS + ROUNDS * (PAUSE_MS_MAX + 2 * SETTLE_MS),
  }, async (context) => {
    if (!isFit && process.env.BROKEN_WORD_ROUNDS === undefined) return context.skip()
    const outcome = await pauseLeaders(nats, { stream: 'word', pausesMs, settleMs: SETTLE_MS })
    const { acknowledged, twice, lost, followers } = outcome
    console.info(
      `${ROUNDS} rounds: ${acknowledged} acknowledged, ${twice.length} twice, ${lost.length} lost;`,
      followers,
    )
    expect(acknowledged).toBeGreaterThan(1_000)
    for (const { dead, failure } of followers) if (dead >= DEAD_MIN) expect(failure).toBe('LogRewound')
    if (!isFit) return
    expect({ twice, lost }).toEqual({ twice: [], lost: [] })
    for (const { failure, dead } of followers)
      expect({ failure, dead }).toEqual({ failure: undefined, dead: 0 })
  })
})
