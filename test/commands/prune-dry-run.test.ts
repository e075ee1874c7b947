import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test, vi } from 'vitest'
import { prune } from '../../src/cli/commands/order.ts'
import { dryRun } from '../../src/cli/commands/prune-dry-run.ts'
import { Orders } from '../../src/replica/membership/orders.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { leads } from '../replica/cluster.ts'
import { line } from '../replica/journal.ts'
import { Desk, Printed } from './desk.ts'

const dirs: string[] = []
afterEach(async () => {
  vi.restoreAllMocks()
  for (const dir of dirs.splice(0)) await rm(dir, { recursive: true, force: true })
})

async function dataDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-dry-run-'))
  dirs.push(dir)
  return dir
}

async function planned(desk: Desk, keep: number) {
  const output = new Printed({ json: true })
  expect(await dryRun(desk.context(output), keep)).toBe(0)
  return output.objects[0] as {
    readonly first: number
    readonly newest: number
    readonly upTo: number
    readonly entries: number
    readonly holds: readonly { readonly by: string; readonly upTo: number; readonly member?: string }[]
    readonly leftBehind: readonly string[]
    readonly refusal: string | null
    readonly policy: unknown
  }
}

const write = async (replica: Replica<number>, lines: number) => {
  for (let n = 0; n < lines; n++) await replica.submit(line(`line ${n}`))
}

test('says what would go, prunes nothing, and a prune does just that', async () => {
  await using desk = new Desk()
  const { replica } = await desk.cluster.start()
  await leads(replica)
  await write(replica, 20)
  const log = await desk.log()
  const before = await log.bounds()
  const newest = before.newest.index
  const plan = await planned(desk, 5)
  expect(plan).toMatchObject({ dryRun: true, first: 1, newest, upTo: newest - 5, entries: newest - 5 })
  expect(plan).toMatchObject({ refusal: null, policy: null, leftBehind: [] })
  expect(plan.holds).toEqual([{ by: 'keep', upTo: newest - 5 }])
  // Not even an entry was written.
  expect(await log.bounds()).toEqual(before)
  const output = new Printed({ json: true })
  await prune(desk.context(output), { keep: 5 })
  expect(output.objects).toEqual([{ upTo: plan.upTo }])
})

test('names who holds the log and why, and who would be left behind', async () => {
  await using desk = new Desk()
  const { replica } = await desk.cluster.start({
    volatile: false,
    dataDir: await dataDir(),
    prune: { keepEntries: 1_000_000 },
  })
  await leads(replica)
  await write(replica, 5)
  const first = await planned(desk, 0)
  expect(first).toMatchObject({ upTo: 0, entries: 0, refusal: expect.stringContaining('no checkpoint') })
  expect(first.policy).toEqual({ keepEntries: 1_000_000, volatile: false })
  expect(first.holds).toContainEqual({ by: 'checkpoint', upTo: 0 })
  const anchor = await replica.mark()
  await replica.checkpointed(anchor)
  await write(replica, 10)
  await desk.announce('catches-up', { state: 'catching-up', applied: 0, needs: anchor.index })
  await desk.announce('lags', { state: 'following', applied: 1 })
  await vi.waitFor(() => expect(replica.members).toHaveLength(3), { timeout: 20_000 })
  // What this replica offers and has on its disk is announced a moment later.
  let plan = await planned(desk, 2)
  while (plan.holds.length < 4) plan = await planned(desk, 2)
  const applied = replica.position.index
  expect(plan.holds).toHaveLength(4)
  expect(plan.holds).toEqual(
    expect.arrayContaining([
      { by: 'offer', upTo: anchor.index - 1, member: replica.id },
      { by: 'catch-up', upTo: anchor.index - 1, member: 'catches-up' },
      { by: 'checkpoint', upTo: anchor.index, member: replica.id },
      { by: 'keep', upTo: applied - 2 },
    ]),
  )
  expect(plan).toMatchObject({ upTo: anchor.index - 1, leftBehind: ['lags'], refusal: null })
  const output = new Printed()
  await dryRun(desk.context(output), 2)
  const text = output.lines.join('\n')
  expect(text).toContain(`${anchor.index - 1} entries would go, up to entry ${anchor.index - 1}`)
  expect(text).toMatch(/it catches up, and goes on from there +…tches-up/)
  expect(text).toContain('unasked, the leader keeps the newest 1,000,000')
  expect(text).toContain('…lags has not applied all that would go')
})

test('a leader of an older release is told apart from one that nothing holds back', async () => {
  await using desk = new Desk()
  const { replica } = await desk.cluster.start()
  await leads(replica)
  vi.spyOn(Orders.prototype, 'pruneOutlook', 'get').mockReturnValue(undefined as never)
  await expect(dryRun(desk.context(new Printed()), 0)).rejects.toMatchObject({
    name: 'OutdatedRelease',
    message: expect.stringContaining('does not tell what holds the log'),
  })
})
