/** Takes jobs and does them: `npx node worker.ts a 300`. A name, and how long it takes for each, in milliseconds. */
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { join, makeState } from './jobs.ts'

/** How long a claim lives, in milliseconds, and how often its worker renews it. */
const CLAIM_MS = 3_000
const RENEW_MS = 1_000

const [name = 'a', workMs = '300'] = process.argv.slice(2)
const state = makeState()
const { jobs, claims } = state
await using replica = await join(state, `data-${name}`)
await replica.inSync()
console.log(`${name} is ready`)

const stopped = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stopped.abort())
while (!stopped.signal.aborted) {
  const job = await claim()
  if (job === undefined) await newsOrTick()
  else await work(job)
}

/** The first job that nobody works on, once this worker has it. */
async function claim(): Promise<string | undefined> {
  for (const { key } of jobs.range({ reverse: true })) {
    if (claims.has(key)) continue
    // Others try as well. The first in the log gets it, and the others go on to the next job.
    const { result } = await claims.compareAndSet(key, undefined, name, { ttlMs: CLAIM_MS })
    if (result) return key
  }
  return undefined
}

async function work(key: string): Promise<void> {
  const job = jobs.get(key)
  // Done by the one that had it before, at the last moment.
  if (job === undefined) return void (await claims.delete(key))
  console.log(`${name} takes ${key}`)
  const end = performance.now() + Number(workMs)
  for (let left = Number(workMs); left > 0; left = end - performance.now()) {
    await delay(Math.min(left, RENEW_MS), undefined, { signal: stopped.signal }).catch(() => undefined)
    if (stopped.signal.aborted) return void (await claims.compareAndSet(key, name, undefined))
    const { result } = await claims.compareAndSet(key, name, name, { ttlMs: CLAIM_MS })
    if (!result) return console.log(`${name} was too slow: ${claims.get(key) ?? 'somebody'} has ${key}`)
  }
  // One entry of the log: all of it happens, or nothing. Of two that did the same job, the first counts.
  const { commands } = state
  const { result = [] } = await state.submitAll([
    commands.results.compareAndSet(key, undefined, { by: name, afterMs: Date.now() - job.addedMs }),
    commands.jobs.delete(key),
    commands.claims.delete(key),
  ])
  console.log(result[0] ? `${name} has done ${key}` : `${name} has done ${key} too late`)
}

/** Until there is another job, or a claim may have died. */
async function newsOrTick(): Promise<void> {
  const signal = AbortSignal.any([stopped.signal, AbortSignal.timeout(RENEW_MS)])
  await once(jobs, 'change', { signal }).catch(() => undefined)
}
