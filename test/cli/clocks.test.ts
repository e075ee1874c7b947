import { writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Place, type Printed, type Running } from './anchorage.ts'

const YEAR_MS = 365 * 24 * 3_600_000
const NODE = ['node', '--lease-ms', '2000']

let place: Place
/** Shifts the wall clock of every process that is given it, and of its threads, by what a file says. */
let withClock: { readonly execArgv: readonly string[] }

beforeEach(async () => {
  place = await Place.make()
  setClock(0)
  const hook = place.path('clock.mjs')
  const offset = JSON.stringify(place.path('offset'))
  writeFileSync(
    hook,
    `import { readFileSync } from 'node:fs'
     const real = Date.now
     Date.now = () => real() + Number(readFileSync(${offset}, 'utf8') || 0)`,
  )
  withClock = { execArgv: ['--import', hook] }
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

function setClock(byMs: number): void {
  writeFileSync(place.path('offset'), String(byMs))
}

const inSync = ({ event, detail }: Printed) => event === 'state' && detail.state === 'in-sync'
const leaderIs = (id: string) => (printed: Printed) =>
  printed.event === 'leader' && printed.detail.leader === id
const idOf = (node: Running) => (node.printed[0] as unknown as { readonly id: string }).id

test.each([
  ['put back by ten minutes', -600_000],
  ['put back to 1970', -55 * YEAR_MS],
  ['put ahead by ten minutes', 600_000],
  ['put ahead to 2099', 73 * YEAR_MS],
])(
  'a leader that dies while the clock is %s is missed a lease later, and no member is lost',
  async (_how, byMs) => {
    const first = place.start(NODE, withClock)
    await first.until(inSync)
    await first.until(leaderIs(idOf(first)))
    const second = place.start(NODE, withClock)
    await second.until(inSync)

    setClock(byMs)
    await place.run(['set', 'written', '1', '--ttl-ms', '600000'], withClock)
    expect((await place.run(['get', 'written'], withClock)).stdout).toBe('1\n')
    expect(second.printed.some(leaderIs(idOf(second)))).toBe(false)

    first.child.kill('SIGKILL')
    const diedMs = performance.now()
    await second.until(leaderIs(idOf(second)))
    expect(performance.now() - diedMs).toBeLessThan(10_000)
    const { members } = JSON.parse((await place.run(['status', '--json'], withClock)).stdout)
    expect(members.map(({ id }: { id: string }) => id)).toContain(idOf(second))
    expect(await second.interrupt()).toBe(0)
  },
)
