import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Benchmark, type Pair, pairs, shared, type Target } from './runner.ts'
import { BuiltPackage } from './start/built-package.ts'
import type { StartFigures } from './start/figures.ts'

const MIB = 1024 * 1024
/** A process takes three seconds, so there can be many. */
const RUNS_MIN = 9
const PROCESS_MS_MAX = 60_000

interface Started extends StartFigures {
  /** Of a replica whose log has no threads; undefined for libp2p, which has none anyway. */
  readonly threadless?: StartFigures
}

/**
 * The package as it is published, in a process of its own each time, and in turn a bare libp2p node that listens on
 * loopback. Neither has a compile cache.
 */
const measured = shared(async (_scale: number, wanted: number): Promise<readonly Pair<Started>[]> => {
  using built = new BuiltPackage()
  const runs = { warmUps: 1, counted: Math.max(wanted, RUNS_MIN), garbage: 'minor' } as const
  return await pairs<Started>(runs, {
    ours: async () => ({ ...(await startReplica(built)), threadless: await startReplica(built, 'memory') }),
    baseline: () => start(built.program('libp2p')),
  })
})

async function startReplica(built: BuiltPackage, ...log: readonly 'memory'[]): Promise<StartFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'anchorage-start-replica-'))
  try {
    return await start(built.program('replica'), folder, ...log)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function start(program: string, ...args: readonly string[]): Promise<StartFigures> {
  const { NODE_COMPILE_CACHE: _, NODE_OPTIONS: __, ...env } = process.env
  const options = { env, timeout: PROCESS_MS_MAX }
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args], options)
  return JSON.parse(stdout)
}

interface What {
  readonly unit: string
  readonly baseline: string
  readonly target?: Target
  readonly of: (figures: Started) => number
}

function benchmark(name: string, { of, ...rest }: What): Benchmark {
  return {
    name: `start/${name}`,
    ...rest,
    async measure(scale, wanted) {
      const processes = await measured(scale, wanted)
      return processes.map(({ ours, baseline }) => ({ ours: of(ours), baseline: of(baseline) }))
    },
  }
}

/** What a process costs before it does anything. */
export const starts: readonly Benchmark[] = [
  benchmark('import', {
    unit: 'ms',
    baseline: 'importing libp2p, TCP, noise and yamux',
    target: { ratioMax: 1.1 },
    of: ({ importMs }) => importMs,
  }),
  benchmark('create', {
    unit: 'ms',
    baseline: 'createLibp2p, until it listens',
    target: { valueBelow: 100 },
    of: ({ createMs }) => createMs,
  }),
  benchmark('in-sync', {
    unit: 'ms',
    baseline: 'from the start of a process until its libp2p node listens',
    of: ({ readyMs }) => readyMs,
  }),
  benchmark('memory', {
    unit: 'MiB',
    baseline: 'an idle libp2p node with TCP, noise and yamux',
    target: { ratioMax: 1.1 },
    of: ({ idleBytes }) => idleBytes / MIB,
  }),
  benchmark('memory-threadless', {
    unit: 'MiB',
    baseline: 'the same; this replica has a log in memory, without the thread of SQLite',
    of: ({ idleBytes, threadless = { idleBytes } }) => threadless.idleBytes / MIB,
  }),
]
