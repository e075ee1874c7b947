import { copyFileSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Child } from './child.ts'
import { type Benchmark, type Pair, shared } from './runner.ts'
import { MemoryLimit } from './sqlite-machine/memory-limit.ts'
import { type ReplicaMethods, ROW_BYTES } from './sqlite-machine/replica.ts'

/** 4 GB of values. */
const STATE_BYTES = 4_000_000_000
/** All memory of one process, its heap and the pages of files that the kernel keeps for it included. */
const MEMORY_BYTES = 512 * 1024 * 1024
/** Of which V8's heap may have this much, in MiB, and SQLite's cache as many bytes, once to write and once to read. */
const HEAP_MIB = 192
const CACHE_BYTES = 32 * 1024 * 1024
/** Rows that are written by one call, which is to take seconds. */
const ROWS_PER_CALL = 50_000
/** How long a call waits for a replica, in milliseconds. */
const WAIT_MS = 60_000
/** Waits for one catch-up: two hours. */
const WAITS_MAX = 120
const MIB = 1024 * 1024

interface Lap {
  readonly catchUpMs: number
  readonly restartMs: number
  readonly copyMs: number
  readonly fileMib: number
  readonly providerMib: number
  readonly joinerMib: number
}

/** Three programs of one kind: a provider, a joiner, and the joiner's next life. */
const PROGRAM = new URL('./sqlite-machine/replica.ts', import.meta.url)

const measured = shared(async (scale: number): Promise<Lap> => {
  const folder = mkdtempSync(join(tmpdir(), 'anchorage-sqlite-machine-'))
  try {
    return await measure(folder, Math.ceil((STATE_BYTES * scale) / ROW_BYTES))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

async function measure(folder: string, wanted: number): Promise<Lap> {
  const options = { group: 'large', logPath: join(folder, 'log.db'), cacheBytes: CACHE_BYTES }
  await using provider = limited('provider')
  await provider.child.call('start', { ...options, path: join(folder, 'provider'), lead: true })
  await inSync(provider.child)
  let rows = 0
  while (rows < wanted) {
    rows += await provider.child.call('fill', rows, Math.min(ROWS_PER_CALL, wanted - rows))
  }
  await provider.child.call('prune')
  const file = stateIn(join(folder, 'provider'))
  const beganCopyMs = performance.now()
  copyFileSync(file, join(folder, 'copy'))
  const copyMs = performance.now() - beganCopyMs
  rmSync(join(folder, 'copy'))
  const fileMib = statSync(file).size / MIB

  await provider.child.call('resetPeak')
  const path = join(folder, 'joiner')
  await using joiner = limited('joiner')
  const beganMs = performance.now()
  await joiner.child.call('start', { ...options, path, lead: false })
  await inSync(joiner.child)
  const catchUpMs = performance.now() - beganMs
  await joiner.child.call('check', rows)
  const providerMib = (await provider.child.call('peakBytes')) / MIB
  const joinerMib = (await joiner.child.call('peakBytes')) / MIB
  await joiner.child.call('crash').catch(() => {})

  await using again = limited('again')
  const beganAgainMs = performance.now()
  await again.child.call('start', { ...options, path, lead: false })
  await inSync(again.child)
  const restartMs = performance.now() - beganAgainMs
  await again.child.call('check', rows)
  if ((await again.child.call('report')) !== undefined) throw new Error('it caught up from its peer')
  return { catchUpMs, restartMs, copyMs, fileMib, providerMib, joinerMib }
}

/** A process that has little memory, if this machine can have it so. */
function limited(name: string): AsyncDisposable & { readonly child: Child<ReplicaMethods> } {
  const limit = MemoryLimit.make(name, MEMORY_BYTES)
  if (limit === undefined)
    process.stderr.write(`the memory of the ${name} is not limited here but for its heap\n`)
  const child = new Child<ReplicaMethods>(PROGRAM, [`--max-old-space-size=${HEAP_MIB}`])
  limit?.add(child.pid)
  return {
    child,
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]()
      limit?.[Symbol.dispose]()
    },
  }
}

async function inSync(child: Child<ReplicaMethods>): Promise<void> {
  for (let wait = 0; wait < WAITS_MAX; wait++) if (await child.call('isInSync', WAIT_MS)) return
  throw new Error('the replica did not catch up')
}

function stateIn(folder: string): string {
  return join(folder, readdirSync(folder).find((name) => name.endsWith('.db'))!)
}

function benchmark(name: string, unit: string, baseline: string, pairOf: (lap: Lap) => Pair): Benchmark {
  return {
    name: `sqlite/${name}`,
    unit,
    baseline,
    measure: async (scale) => [pairOf(await measured(scale, 1))],
  }
}

/**
 * A state of 4 GB, on replicas that have 512 MiB of memory each: one serves, one joins, is killed, and comes back.
 * Measured once: it takes minutes.
 */
export const sqlite: readonly Benchmark[] = [
  benchmark('larger-than-memory', 'ms', "copying the state's file", ({ catchUpMs, copyMs }) => ({
    ours: catchUpMs,
    baseline: copyMs,
  })),
  benchmark('restart', 'ms', 'catching up from a peer', ({ restartMs, catchUpMs }) => ({
    ours: restartMs,
    baseline: catchUpMs,
  })),
  benchmark('provider-memory', 'MiB', "the state's file", ({ providerMib, fileMib }) => ({
    ours: providerMib,
    baseline: fileMib,
  })),
  benchmark('joiner-memory', 'MiB', "the state's file", ({ joinerMib, fileMib }) => ({
    ours: joinerMib,
    baseline: fileMib,
  })),
]
