import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkpoint } from '../../src/cli/commands/checkpoint.ts'
import type { Log, LogBackend } from '../../src/log/log.ts'
import type { Presence } from '../../src/log/presence.ts'
import { run } from '../diagnose/command.ts'
import { altered, alteredLog, Cluster, leads } from '../replica/cluster.ts'

let dir: string
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'anchorage-checkpoint-'))
})
afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

/** A log whose announcements seem to have lapsed just now, at some looks of whoever opens it. */
class LateNews {
  looks = 0
  readonly backend: LogBackend
  readonly #isLate: (look: number) => boolean
  readonly #looked = Promise.withResolvers<void>()

  /** @param last the look after which news comes by itself, too */
  constructor(backend: LogBackend, isLate: (look: number) => boolean, last: number) {
    this.#isLate = isLate
    this.backend = alteredLog(backend, ({ notices }) => ({
      notices: altered<Log['notices']>(notices, {
        read: async () => {
          const presences = this.#seen(await notices.read())
          if (this.looks >= last) this.#looked.resolve()
          return presences
        },
        watch: (options) => this.#watch(notices, options?.signal),
      }),
    }))
  }

  async *#watch(notices: Log['notices'], signal: AbortSignal | undefined) {
    yield this.#seen(await notices.read())
    signal?.addEventListener('abort', () => this.#looked.resolve(), { once: true })
    await this.#looked.promise
    yield* notices.watch({ ...(signal && { signal }) })
  }

  #seen(presences: Presence[]): Presence[] {
    if (!this.#isLate(++this.looks)) return presences
    return presences.map((one) => ({ ...one, ageMs: one.ttlMs + 1, version: -1 }))
  }
}

test('a checkpoint is written though the announcements of all lapse once the command has begun', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start({ dataDir: join(dir, 'late') })
  await leads(replica)
  const late = new LateNews(cluster.log, (look) => look > 1 && look < 6, 6)
  const { code, object } = await run(checkpoint, { log: late.backend })
  expect([code, object.replicas]).toEqual([0, [replica.id]])
  expect(late.looks).toBeGreaterThanOrEqual(6)
})

test('where replicas run and none has a data directory, or none runs, it says so', async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  await leads(replica)
  await expect(run(checkpoint, { log: cluster.log })).rejects.toMatchObject({ name: 'NothingDurable' })
  await replica.stop()
  await expect(run(checkpoint, { log: cluster.log })).rejects.toMatchObject({ name: 'NobodyRuns' })
})

test('where the last one with a data directory ends before it wrote, nobody is said to have it', async () => {
  await using cluster = new Cluster()
  const [leader] = await cluster.startLed(0)
  const { replica } = await cluster.start({ lead: false, dataDir: join(dir, 'ends') })
  await replica.inSync()
  // The anchor can be captured; its root is not sealed before both have attested.
  let stopped: Promise<void> | undefined
  leader.replica.addEventListener('marked', () => {
    stopped ??= replica.stop()
  })
  await expect(run(checkpoint, { log: cluster.log })).rejects.toMatchObject({ name: 'NothingDurable' })
  await stopped
})
