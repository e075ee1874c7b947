import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CheckpointPolicy } from '../../src/index.ts'
import { measureNeighbours } from './checkpoint/neighbours.ts'
import { type Applied, BATCH_ENTRIES, Subject } from './checkpoint/subject.ts'
import type { Benchmark, Pair } from './runner.ts'

const ITEMS = 1_000_000
/** Commands between two checkpoints. Applying them takes about as long as a checkpoint. */
const EVERY_COMMANDS = 1_000_000
const TIME_MAX_MS = 300_000

/**
 * One replica applies sets to random keys of a large map, one after the other as fast as it can. The time per
 * entry from the capture of a snapshot until it is on disk is compared with the time per entry since the
 * previous checkpoint.
 */
export const checkpoint: readonly Benchmark[] = [
  {
    name: 'checkpoint',
    unit: 'µs',
    baseline: 'applying an entry while no checkpoint is written',
    target: { ratioMax: 1.25 },
    measure: (scale, wanted) => inDirectory((dataDir) => measureTime(dataDir, scale, wanted)),
  },
  {
    name: 'checkpoint/neighbours',
    unit: 'bytes',
    baseline: 'the whole checkpoint',
    target: { ratioMax: 0.05 },
    measure: (scale, wanted) =>
      inDirectory((dataDir) => measureNeighbours(dataDir, Math.ceil(ITEMS * scale), wanted)),
  },
]

async function inDirectory(measure: (dataDir: string) => Promise<Pair[]>): Promise<Pair[]> {
  const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-bench-'))
  try {
    return await measure(dataDir)
  } finally {
    await rm(dataDir, { recursive: true })
  }
}

async function measureTime(dataDir: string, scale: number, wanted: number): Promise<Pair[]> {
  const items = Math.ceil(ITEMS * scale)
  const policy: CheckpointPolicy = {
    everyCommands: Math.ceil(EVERY_COMMANDS * scale),
    everyBytes: Number.POSITIVE_INFINITY,
    everyMs: Number.POSITIVE_INFINITY,
    onStop: false,
  }
  await using subject = await Subject.start(dataDir, items, policy)
  const random = () => Array.from({ length: BATCH_ENTRIES }, () => Math.floor(Math.random() * items))
  return await inPairs(subject, wanted, () => subject.set(random()))
}

/** Sort the applied entries by whether a checkpoint was under way. The first checkpoint warms up. */
async function inPairs({ replica }: Subject, wanted: number, apply: () => Promise<Applied>): Promise<Pair[]> {
  const pairs: Pair[] = []
  const during = { quiet: nothing(), busy: nothing() }
  let now: keyof typeof during = 'quiet'
  let written = 0
  replica.addEventListener('sync', ({ detail }) => {
    if (detail.type === 'captured') now = 'busy'
  })
  replica.addEventListener('checkpoint', ({ detail }) => {
    if (detail.type !== 'written') return
    if (written++ > 0) pairs.push({ ours: perEntry(during.busy), baseline: perEntry(during.quiet) })
    Object.assign(during, { quiet: nothing(), busy: nothing() })
    now = 'quiet'
  })
  const giveUpMs = performance.now() + TIME_MAX_MS
  while (written <= wanted) {
    if (performance.now() > giveUpMs) throw new Error(`only ${written} checkpoints in ${TIME_MAX_MS} ms`)
    const applied = during[now]
    const { entries, tookMs } = await apply()
    applied.entries += entries
    applied.tookMs += tookMs
  }
  return pairs
}

function nothing(): Applied {
  return { entries: 0, tookMs: 0 }
}

function perEntry({ entries, tookMs }: Applied): number {
  return (tookMs * 1_000) / entries
}
