import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from './child.ts'
import type { Links } from './multi-source/links.ts'
import type { Benchmark, Pair } from './runner.ts'
import type { Joiner } from './transfer/joiner.ts'
import type { Provider } from './transfer/provider.ts'
import { fetchRate, MB } from './transfer/rate.ts'
import type { StateKind } from './transfer/states.ts'

const STATE: StateKind = { type: 'noise', itemBytes: 1_024 }
const LINK_BYTES_PER_SECOND = 8e6
/** How long the links need for the whole state, in seconds. */
const TRANSFER_SECONDS = 3

/**
 * One joiner without a state fetches from several providers, each behind a link of its own that lets 8 MB/s
 * through. The measure is the snapshot's bytes, already cut, over the time from the first request for a chunk
 * to the last chunk verified. The baseline is what the links let through together.
 */
export const multiSource: readonly Benchmark[] = [
  fetchFrom(1),
  fetchFrom(2),
  fetchFrom(4),
  { ...fetchFrom(6), target: { ratioMin: 0.95 } },
]

function fetchFrom(providers: number): Benchmark {
  return {
    name: `multi-source/${providers}`,
    unit: 'MB/s',
    baseline: `${providers} × ${LINK_BYTES_PER_SECOND / MB} MB/s`,
    measure: (scale, wanted) => measureWith(providers, scale, wanted),
  }
}

async function measureWith(providers: number, scale: number, wanted: number): Promise<Pair[]> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'anchorage-bench-'))
  stack.defer(() => rm(dir, { recursive: true }))
  const links = stack.use(new Child<Links>(new URL('./multi-source/links.ts', import.meta.url)))
  const joiner = stack.use(new Child<Joiner>(new URL('./transfer/joiner.ts', import.meta.url)))
  // If there are two others or more, the leader is held in reserve.
  const serving = Array.from({ length: providers === 1 ? 1 : providers + 1 }, () =>
    stack.use(new Child<Provider>(new URL('./transfer/provider.ts', import.meta.url))),
  )
  const [leader, ...followers] = serving
  const ports = await links.call('open', serving.length)
  const logPath = join(dir, 'log.db')
  const start = async (provider: Child<Provider>, n: number, lead: boolean) => {
    const announce = `/ip4/127.0.0.1/tcp/${ports[n]}`
    await links.call('lead', n, await provider.call('start', { logPath, state: STATE, announce, lead }))
  }
  await start(leader!, 0, true)
  await leader!.call('grow', LINK_BYTES_PER_SECOND * providers * TRANSFER_SECONDS * scale)
  await Promise.all(followers.map((follower, n) => start(follower, n + 1, false)))
  const anchor = await leader!.call('mark')
  const [bytes] = await Promise.all(serving.map((provider) => provider.call('cut', anchor)))
  const whole = { items: await leader!.call('size'), bytes: bytes! }

  const fetch = async () => {
    const passedBefore = await links.call('passed')
    const [joined] = await joiner.call('join', { logPath, state: STATE, replicas: 1 })
    const { providersUsed, bytesFetched } = joined!.report
    if (providersUsed.length > providers) throw new Error('more providers served than were meant to')
    const passed = (await links.call('passed')) - passedBefore
    if (passed < bytesFetched) throw new Error('some bytes did not come through the links')
    return fetchRate(joined!, whole)
  }
  // One run without limits, after which all processes have compiled their code.
  await fetch()
  await links.call('limit', LINK_BYTES_PER_SECOND)
  const pairs: Pair[] = []
  for (let run = 0; run < wanted; run++) {
    pairs.push({ ours: await fetch(), baseline: (providers * LINK_BYTES_PER_SECOND) / MB })
  }
  return pairs
}
