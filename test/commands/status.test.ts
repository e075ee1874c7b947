import { describe, expect, test } from 'vitest'
import { status } from '../../src/cli/commands/status.ts'
import { GroupLook } from '../../src/cli/status/group-look.ts'
import { type Looks, type Status, statusPage } from '../../src/cli/status/status-page.ts'
import type { CatchUpProgress } from '../../src/group/catch-up-progress.ts'
import { Journal, line } from '../replica/journal.ts'
import { Desk, Printed } from './desk.ts'

const PROGRESS: CatchUpProgress = {
  ...{ id: '0123456789abcdef', phase: 'fetching', anchor: 1_234 },
  ...{ chunks: 1_250, chunksTotal: 2_900, bytes: 12_300_000, bytesTotal: 30_100_000, elapsedMs: 4_000 },
  providers: [
    { peer: '12D3KooWaaaaaaaa', chunks: 1_000, bytesPerSecond: 5_100_000 },
    { peer: '12D3KooWbbbbbbbb', chunks: 250, bytesPerSecond: 400 },
  ],
  cells: Uint8Array.of(0x11, 0x31, 0x12, 0),
}
const SCREEN: Looks = { wide: false, columns: 80, rows: 23 }
const PAPER: Looks = { wide: false, columns: 80, rows: Number.POSITIVE_INFINITY }

async function seen(desk: Desk, look?: GroupLook): Promise<Status> {
  const shown = await (look ?? new GroupLook(await desk.log(), desk.context(new Printed()))).look()
  return { ...shown, signature: 'journal/1', format: null }
}

const linesOf = (now: Status, looks: Looks): string[] => statusPage(now, looks).map(({ text }) => text)

/** Its catch-up stays where the state is built, until it goes on. */
class HeldJournal extends Journal {
  readonly goOn = Promise.withResolvers<void>()

  override install(): ReturnType<Journal['install']> {
    return Object.assign(super.install(), { finish: () => this.goOn.promise })
  }
}

test("a real joiner's catch-up is shown while it goes on, and who has gone", async () => {
  await using desk = new Desk()
  const [leader, other] = await desk.cluster.startLed(1)
  for (let n = 0; n < 20; n++) await leader.replica.submit(line(`line ${n}`))
  await leader.replica.mark()
  await leader.replica.prune({ keepEntries: 0 })
  const journal = new HeldJournal()
  const { replica: joiner } = await desk.cluster.start({ lead: false }, journal)
  const look = new GroupLook(await desk.log(), desk.context(new Printed()))
  await expect
    .poll(async () => (await seen(desk, look)).catchUps[0]?.phase, { timeout: 20_000 })
    .toBe('installing')
  const during = await seen(desk, look)
  expect(during.catchUps).toMatchObject([
    { member: joiner.id, id: joiner.catchUp?.id, anchor: joiner.catchUp?.anchor },
  ])
  const { version, signature } = during.members.find(({ id }) => id === joiner.id)!
  expect([version, signature]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+/), 'journal/1'])
  expect(linesOf(during, PAPER)).toContain('1 catch-up now')
  expect(during.silent).toEqual([])
  journal.goOn.resolve()
  await joiner.inSync()
  await other!.replica.stop()
  const after = await seen(desk, look)
  expect(after.silent).toMatchObject([{ id: other!.replica.id, tookLeave: true }])
  expect(linesOf(after, PAPER).join('\n')).toMatch(
    /gone replica +how +ago .*\n…\w{8} +took its leave +\d+ m?s/,
  )
})

test('one that was killed before anybody looked is known by what it left, and another one is not', async () => {
  await using desk = new Desk()
  await desk.announce('12D3KooWkilled', { applied: 7 }, 0)
  await desk.announce('12D3KooWstopped', { state: 'stopped' }, 0)
  const { silent } = await seen(desk)
  expect(silent.map(({ id, position, tookLeave }) => [id, position, tookLeave]).sort()).toEqual([
    ['12D3KooWkilled', 7, false],
    ['12D3KooWstopped', 1, true],
  ])
})

describe('a catch-up', () => {
  test('is a bar with what is there, the rate and the time that is left, and who sends, in 80 columns', async () => {
    await using desk = new Desk()
    await desk.announce('12D3KooWjoinerxx', { state: 'catching-up', catchUp: PROGRESS })
    const lines = linesOf(await seen(desk), PAPER)
    const at = lines.indexOf('1 catch-up now')
    expect(lines.slice(at + 1, at + 3)).toEqual([
      '…joinerxx fetching   [#####--------]  40%  12.3 of 30.1 MB  5.1 MB/s  5.8 s left',
      '  anchor 1,234: 1,250/2,900 chunks; from …aaaaaaaa 5.1 MB/s, …bbbbbbbb 400 B/s',
    ])
  })

  test('has providers as far as there is room', async () => {
    await using desk = new Desk()
    const providers = Array.from({ length: 15 }, (_, n) => {
      return { peer: `12D3KooW${'p'.repeat(7)}${n}`, chunks: 1, bytesPerSecond: 1_000 }
    })
    await desk.announce('12D3KooWjoinerxx', { catchUp: { ...PROGRESS, providers } })
    const text = linesOf(await seen(desk), PAPER).find((one) => one.includes('chunks'))!
    expect(text).toMatch(/; from …ppppppp0 1\.0 kB\/s and 14 more$/)
    expect(text.length).toBeLessThanOrEqual(80)
  })

  test('without an anchor has only what it does and for how long', async () => {
    await using desk = new Desk()
    const nothing = {
      chunks: 0,
      chunksTotal: 0,
      bytes: 0,
      bytesTotal: 0,
      providers: [],
      cells: new Uint8Array(0),
    }
    await desk.announce('12D3KooWjoinerxx', {
      catchUp: { ...PROGRESS, ...nothing, phase: 'requesting', anchor: 0 },
    })
    const lines = linesOf(await seen(desk), PAPER)
    const row = lines[lines.indexOf('1 catch-up now') + 1]
    expect(row).toMatch(/^…joinerxx requesting \[-+\] {3}0% {2}0 of 0 B {2}0 B\/s {2}4\.0 s so far$/)
  })

  test('has the time left by how fast it went between two looks', async () => {
    await using desk = new Desk()
    const look = new GroupLook(await desk.log(), desk.context(new Printed()))
    const left = async (bytes: number, elapsedMs: number) => {
      await desk.announce('joiner', { catchUp: { ...PROGRESS, bytesTotal: 1_000, bytes, elapsedMs } })
      return (await seen(desk, look)).catchUps[0]?.leftMs
    }
    expect(await left(0, 1_000)).toBe(null)
    expect(await left(100, 2_000)).toBe(9_000)
    expect(await left(500, 3_000)).toBe(2_000)
  })
})

describe('a group of 200', () => {
  async function crowd(desk: Desk): Promise<void> {
    for (let n = 0; n < 200; n++) {
      const id = `12D3KooW${`${n}`.padStart(8, '0')}`
      const offers = [{ anchor: 1_234, remainingMs: 9_000, ready: true }]
      const catchUp = n % 2 === 0 ? { state: 'catching-up' as const, catchUp: PROGRESS } : {}
      await desk.announce(id, {
        version: '0.3.0',
        signature: 'journal/1',
        leads: n === 123 ? 4 : 0,
        offers,
        ...catchUp,
      })
      await desk.announce(`${id}gone`, {}, 0)
    }
  }

  test('fits on a screen of 80 by 24: each part has its rows, and says how many there are besides', async () => {
    await using desk = new Desk()
    await crowd(desk)
    const lines = linesOf(await seen(desk), SCREEN)
    expect(lines.length).toBeLessThanOrEqual(23)
    for (const text of lines) expect(text.length).toBeLessThanOrEqual(80)
    const rests = lines.filter((text) => /^and \d+ more/.test(text))
    expect(rests).toHaveLength(4)
    // The leader first, then those that are not in sync.
    expect(lines.find((text) => text.includes(' *'))).toMatch(/^…00000123 \* +in-sync/)
    expect(rests[0]).toMatch(/^and 19\d more: \d+ catching-up, 99 in-sync$/)
    expect(lines).toContain('100 catch-ups now')
  })

  test('is whole where there is no screen', async () => {
    await using desk = new Desk()
    await crowd(desk)
    const lines = linesOf(await seen(desk), PAPER)
    expect(lines.filter((text) => /^and \d+ more/.test(text))).toEqual([])
    expect(lines.length).toBeGreaterThan(200 + 2 * 100 + 200 + 200)
  })
})

test('more of each replica, as far as it tells: versions, checkpoint, process, addresses, offers', async () => {
  await using desk = new Desk()
  await desk.announce('12D3KooWaaaaaaaa', {
    ...{
      version: '0.3.0',
      signature: 'journal/2',
      durable: true,
      checkpoint: 5_000,
      process: 'abc',
      format: 2,
    },
    addresses: ['/ip4/10.0.0.1/tcp/1', '/dns4/one.example/tcp/2'],
    offers: [
      { anchor: 7, remainingMs: 4_000, ready: true },
      { anchor: 9, remainingMs: 0, ready: false },
    ],
  })
  await desk.announce('12D3KooWbbbbbbbb')
  const text = linesOf(await seen(desk), { ...PAPER, wide: true }).join('\n')
  expect(text).toContain(
    [
      '12D3KooWaaaaaaaa',
      '  version 0.3.0, machine journal/2, format 2',
      '  checkpoint of entry 5,000, process abc',
      '  at /ip4/10.0.0.1/tcp/1 /dns4/one.example/tcp/2',
      '  offers anchor 7 (lapses in ',
    ].join('\n'),
  )
  expect(text).toContain(', anchor 9 (being cut)\n')
  expect(text).toContain('  version not told, machine not told, format 2\n  in memory, process not told\n')
  // It does not speak what the group speaks.
  expect(text).toMatch(/announced ago +machine\n…aaaaaaaa .* journal\/2\n/)
})

test('no text of a peer is obeyed by a terminal', async () => {
  await using desk = new Desk()
  const evil = '\u001b[2J\u202e\r\n\u0007evil'
  const catchUp = { ...PROGRESS, providers: [{ ...PROGRESS.providers[0]!, peer: 'p' }] }
  await desk.announce(`id${evil}`.replaceAll(/\p{Cc}/gu, '\u202e'), {
    ...{ version: evil, signature: evil, process: evil, addresses: [`/dns4/${evil}`], catchUp },
    offers: [{ anchor: 1, remainingMs: 1_000, ready: true }],
  })
  for (const wide of [false, true]) {
    const lines = linesOf(await seen(desk), { ...PAPER, wide })
    for (const text of lines) expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(lines.join('\n')).toContain('\\x1b[2J')
  }
})

test('a watch prints one object a line for programs, with all of it', async () => {
  await using desk = new Desk()
  await desk.announce('12D3KooWjoinerxx', { addresses: [], version: '0.3.0', catchUp: PROGRESS })
  await desk.announce('12D3KooWkilled', {}, 0)
  const output = new Printed({ json: true })
  const watching = status(desk.context(output), { watch: true })
  await Promise.all([
    expect(watching).rejects.toThrow(),
    output.until(() => output.lines.length >= 2).then(() => desk.interrupted.abort(new Error('Ctrl-C'))),
  ])
  expect(output.objects.length).toBeGreaterThanOrEqual(2)
  expect(output.objects[0]).toMatchObject({
    members: [
      {
        id: '12D3KooWjoinerxx',
        version: '0.3.0',
        signature: null,
        checkpoint: 0,
        durable: false,
        process: '',
      },
    ],
    silent: [{ id: '12D3KooWkilled', tookLeave: false }],
    catchUps: [
      {
        ...{
          member: '12D3KooWjoinerxx',
          id: PROGRESS.id,
          phase: 'fetching',
          anchor: 1_234,
          bytesPerSecond: 5_100_400,
        },
        ...{ chunks: 1_250, chunksTotal: 2_900, cells: '11311200', providers: PROGRESS.providers },
      },
    ],
  })
})
