import { expect, test } from 'vitest'
import { type EventsOptions, events } from '../../src/cli/commands/events.ts'
import type { GroupEvent } from '../../src/cli/events/group-event.ts'
import type { CatchUpProgress } from '../../src/group/catch-up-progress.ts'
import type { Position } from '../../src/position.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { altered, leads, next } from '../replica/cluster.ts'
import { line } from '../replica/journal.ts'
import { Desk, Printed } from './desk.ts'

async function told(desk: Desk, options: EventsOptions = {}) {
  const output = new Printed({ json: true })
  expect(await events(desk.context(output), options)).toBe(0)
  return { events: output.objects as GroupEvent[], notes: output.notes }
}

/** Resolves with an anchor when the group has agreed on its root. */
async function sealed(replica: Replica<number>): Promise<Position> {
  const sealed = next(replica, 'sealed')
  const anchor = await replica.mark()
  await sealed
  return anchor
}

const CATCH_UP: CatchUpProgress = {
  id: '0011223344556677',
  phase: 'fetching',
  anchor: 7,
  chunks: 1,
  chunksTotal: 8,
  bytes: 100,
  bytesTotal: 800,
  elapsedMs: 5,
  providers: [],
  cells: new Uint8Array(),
}

const names = (all: readonly GroupEvent[]) => all.map(({ event }) => event)

test('what the log holds, then the end; and from an entry on, or of some types', async () => {
  await using desk = new Desk()
  const [leader] = await desk.cluster.startLed(1)
  const { replica } = leader
  const anchor = await sealed(replica)
  const root = await replica.rootAt(anchor)
  for (let n = 0; n < 5; n++) await replica.submit(line(`line ${n}`))
  const all = (await told(desk)).events
  expect(names(all).filter((name) => name !== 'attested')).toEqual(['leader', 'marked', 'sealed'])
  expect(all[0]).toEqual({
    event: 'leader',
    atMs: expect.any(Number),
    index: 1,
    member: replica.id,
    detail: { leader: replica.id, term: 1 },
  })
  expect(all.find(({ event }) => event === 'sealed')).toMatchObject({
    detail: { anchor, root: Buffer.from(root).toString('hex') },
  })
  const later = await told(desk, { since: anchor.index + 1 })
  expect(later.events).toEqual(all.filter(({ index }) => index! > anchor.index))
  const some = await told(desk, { type: ['sealed', 'void'] })
  expect(names(some.events)).toEqual(['sealed'])
  const none = await told(desk, { since: 'now' })
  expect(none).toEqual({ events: [], notes: ['{"note":"the log holds no such event"}'] })
})

test('what only members announce is not looked for in the log', async () => {
  await using desk = new Desk()
  await desk.log()
  await expect(told(desk, { type: ['left', 'leader'] })).rejects.toMatchObject({
    name: 'UsageError',
    message: expect.stringContaining('add --follow'),
  })
})

test('a pruned log begins where it begins, and says so', async () => {
  await using desk = new Desk()
  const { replica } = await desk.cluster.start()
  await leads(replica)
  for (let n = 0; n < 5; n++) await replica.submit(line(`line ${n}`))
  const upTo = await replica.prune({ keepEntries: 2 })
  await sealed(replica)
  const { events: all, notes } = await told(desk)
  expect(names(all)).toEqual(['prune', 'marked', 'attested', 'sealed'])
  expect(notes).toEqual([expect.stringContaining(`the log begins with entry ${upTo + 1}`)])
  expect(names((await told(desk, { since: upTo + 1 })).events)).toEqual(names(all))
})

test('following, it tells of members too, and of nothing twice', async () => {
  await using desk = new Desk()
  const { replica } = await desk.cluster.start()
  await leads(replica)
  const output = new Printed({ json: true })
  const following = events(desk.context(output), { follow: true })
  const has = (event: string, member: string) => () =>
    (output.objects as GroupEvent[]).some((one) => one.event === event && one.member === member)
  await output.until(has('present', replica.id))
  const joiner = await desk.cluster.start({ lead: false, snapshotAfter: 0 })
  await joiner.replica.inSync()
  await output.until(has('joined', joiner.replica.id))
  await joiner.replica.stop()
  await output.until(has('left', joiner.replica.id))
  await desk.announce('catches-up', { state: 'catching-up', catchUp: CATCH_UP })
  await output.until(has('catch-up-began', 'catches-up'))
  // In sync it would be an elector.
  await desk.announce('catches-up', { state: 'following' })
  await output.until(has('catch-up-ended', 'catches-up'))
  await desk.announce('falls-silent', {}, 100)
  await output.until(has('silent', 'falls-silent'))
  await sealed(replica)
  await output.until(() => names(output.objects as GroupEvent[]).filter((one) => one === 'sealed').length > 1)
  desk.interrupted.abort(new Error('Ctrl-C'))
  await expect(following).rejects.toThrow('Ctrl-C')
  const all = output.objects as GroupEvent[]
  const entries = all.flatMap(({ index, event, member }) =>
    index === null ? [] : [`${index} ${event} ${member}`],
  )
  expect(entries).toEqual([...new Set(entries)])
  expect(all.filter(({ event }) => event === 'leader')).toHaveLength(1)
})

test('what is pruned before it is read is skipped, with a note', async () => {
  await using desk = new Desk()
  const { replica } = await desk.cluster.start()
  await leads(replica)
  for (let n = 0; n < 5; n++) await replica.submit(line(`line ${n}`))
  const context = desk.context(new Printed({ json: true }))
  let pruning: Promise<number> | undefined
  // The leader prunes after the bounds were read, and before the entries are.
  const backend = {
    open: async (init: never) => {
      const log = await desk.cluster.log.open(init)
      return altered(log, {
        async *read(cursor, options) {
          pruning ??= replica.prune({ keepEntries: 1 })
          await pruning
          yield* log.read(cursor, options)
        },
      })
    },
  }
  const output = context.output as Printed
  await events({ ...context, log: { ...context.log, backendFor: () => backend } }, {})
  expect(output.notes).toEqual([
    expect.stringMatching(/entries 1 to \d+ were pruned before anybody read here/),
  ])
  expect(names(output.objects as GroupEvent[])).toEqual(['prune'])
})

test('people read a line of each, in which no member can write over the terminal', async () => {
  await using desk = new Desk()
  const { replica } = await desk.cluster.start()
  await leads(replica)
  await sealed(replica)
  await desk.announce('evil\u202e', { addresses: ['\x1b]0;title\x07', 'a'.repeat(5_000)] })
  const output = new Printed()
  const following = events(desk.context(output), { follow: true })
  await output.until(() => output.lines.some((each) => each.includes('evil')))
  desk.interrupted.abort(new Error('Ctrl-C'))
  await expect(following).rejects.toThrow('Ctrl-C')
  const text = output.lines.join('\n')
  expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  expect(text).toContain('…evil\\u202e')
  expect(text).toContain('\\x1b]0;title\\x07')
  expect(Math.max(...output.lines.map((each) => each.length))).toBeLessThan(600)
  expect(output.lines[0]).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z {13}1 {2}…\w{8} {2}leads, term 1$/)
  expect(text).toMatch(/anchor 2 is sealed, root [0-9a-f]{16}/)
})
