/** Measures all contenders in turn, in the network namespace that it was started in: `measure.ts TASK.json`. */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { contenders } from './contenders.ts'
import { finalItems, rowsIn } from './history.ts'
import { digestOf } from './lines.ts'
import { Party } from './party.ts'
import { cpuMs, loopbackBytes, peakMiB } from './proc.ts'
import type { Join, Measured, Missing } from './results.ts'
import { type Contender, type Ready, Stage } from './stage.ts'

export interface Task {
  readonly dir: string
  readonly cache: string
  readonly rows: string
  readonly rounds: number
  readonly runs: number
  /** How long to wait before the first newcomer, in milliseconds, so that checkpoints of the load are written. */
  readonly settleMs: number
  /** The contenders that can be measured. */
  readonly ids: readonly string[]
  /** Whether loopback is ours alone. */
  readonly isolated: boolean
  /** Where the outcome is written. */
  readonly outcome: string
}

export interface Outcome {
  readonly load: readonly [before: number, after: number]
  readonly idleBytesPerSecond: number | null
  readonly stateBytes: number
  readonly items: number
  readonly measured: readonly Measured[]
  readonly missing: readonly Missing[]
}

/** The longest that a newcomer may take, in milliseconds. */
const JOIN_MS_MAX = 4 * 60_000
const DIGEST_MS_MAX = 60_000
/** How long those who wait are watched, in milliseconds. */
const IDLE_MS = 2_000

interface Entry {
  readonly contender: Contender
  readonly stage: Stage
  readonly ready: Ready
  readonly joins: Join[]
}

const task: Task = JSON.parse(await readFile(process.argv[2]!, 'utf8'))
await writeFile(task.outcome, JSON.stringify(await measureAll()))

async function measureAll(): Promise<Outcome> {
  const rows = await rowsIn(task.rows)
  const expected = [...finalItems(rows, task.rounds)]
  const state = { ...digestOf(expected), key: expected.at(-1)![0], value: expected.at(-1)![1] }
  const stateBytes = expected.reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  )
  await using stack = new AsyncDisposableStack()
  const missing: Missing[] = []
  const entries: Entry[] = []
  const leaveOut = (name: string, error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    missing.push({ name, why })
    tell(`LEFT OUT ${name}: ${why}`)
  }
  // Two ways with one log share its folder.
  const shared = join(task.dir, 'work')
  await mkdir(shared)
  for (const contender of contenders.filter(({ id }) => task.ids.includes(id))) {
    const { rounds, cache, rows } = task
    const stage = stack.use(
      new Stage({ dir: shared, rows, items: state.items, rounds, key: state.key, cache }),
    )
    const beganMs = performance.now()
    try {
      entries.push({ contender, stage, ready: await contender.prepare(stage), joins: [] })
      tell(`${contender.name}: ready after ${Math.round((performance.now() - beganMs) / 1000)} s`)
    } catch (error) {
      leaveOut(contender.name, error)
      await stage[Symbol.asyncDispose]()
    }
  }

  await delay(task.settleMs)
  const idleBytesPerSecond = task.isolated ? await bytesPerSecond() : null
  const before = loadavg()[0]!
  let left = entries
  // The first newcomer of each is not counted: it finds compiled code missing, and files that nobody has read.
  for (let run = 0; run <= task.runs; run++) {
    const first = left.length === 0 ? 0 : run % left.length
    for (const entry of [...left.slice(first), ...left.slice(0, first)]) {
      const { name } = entry.contender
      try {
        const join = await newcomer(entry, run, state, task.isolated)
        if (run > 0) entry.joins.push(join)
        tell(`${run === 0 ? 'warm-up' : `run ${run}`}, ${name}: ${JSON.stringify(join)}`)
      } catch (error) {
        leaveOut(name, error)
        left = left.filter((other) => other !== entry)
        await entry.stage[Symbol.asyncDispose]()
      }
    }
  }
  const measured = left.map(({ contender: { id, name }, joins }) => ({ id, name, joins }))
  return {
    load: [before, loadavg()[0]!],
    idleBytesPerSecond,
    stateBytes,
    items: state.items,
    measured,
    missing,
  }
}

/** Over loopback, while nobody joins. */
async function bytesPerSecond(): Promise<number> {
  const before = loopbackBytes()
  await delay(IDLE_MS)
  return ((loopbackBytes() - before) * 1_000) / IDLE_MS
}

async function newcomer(
  { contender, ready }: Entry,
  run: number,
  state: { readonly digest: string; readonly items: number; readonly value: string },
  isolated: boolean,
): Promise<Join> {
  const command = await ready.newcomer(run)
  const [bytes, providersMs] = [loopbackBytes(), cpuMs(ready.providers)]
  await using party = new Party(command)
  const { line, atMs } = await party.heard('ready', JOIN_MS_MAX)
  const join = {
    tookMs: atMs,
    loadedMs: (await party.heard('loaded', 0)).atMs,
    bytes: isolated ? loopbackBytes() - bytes : null,
    peakMiB: peakMiB(party.pid),
    newcomerCpuMs: cpuMs([party.pid]),
    providersCpuMs: cpuMs(ready.providers) - providersMs,
  }
  if (line.value !== state.value) throw new Error(`it read ${line.value} instead of ${state.value}`)
  if (contender.id.startsWith('anchorage') && !((line.fetched as number) > 0))
    throw new Error(
      'it replayed the log instead of fetching from peers: it was less than 100,000 entries behind',
    )
  const { digest, items } = await party.digest(DIGEST_MS_MAX)
  if (digest !== state.digest) throw new Error(`its ${items} items are not those that were written`)
  return join
}

function tell(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`)
}
