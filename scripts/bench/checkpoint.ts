import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type CheckpointPolicy,
  createReplica,
  type MapResult,
  memoryLog,
  type NewEntry,
  type Replica,
  ReplicatedMap,
} from '../../src/index.ts'
import type { Benchmark, Pair } from './runner.ts'

const ITEMS = 1_000_000
const VALUE_CHARACTERS = 100
/** Random text, from which values are cut out. */
const RANDOM = randomBytes(3 * 1024 * 1024).toString('base64')
const GROUP = 'bench'
/** Commands between two checkpoints. Applying them takes about as long as a checkpoint. */
const EVERY_COMMANDS = 1_000_000
const BATCH_ENTRIES = 1_000
const TIME_MAX_MS = 300_000

/** What was applied in a span of time. */
interface Applied {
  entries: number
  tookMs: number
}

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
    async measure(scale, wanted) {
      const dataDir = await mkdtemp(join(tmpdir(), 'anchorage-bench-'))
      try {
        return await measureIn(dataDir, scale, wanted)
      } finally {
        await rm(dataDir, { recursive: true })
      }
    },
  },
]

async function measureIn(dataDir: string, scale: number, wanted: number): Promise<Pair[]> {
  const items = Math.ceil(ITEMS * scale)
  const policy: CheckpointPolicy = {
    everyCommands: Math.ceil(EVERY_COMMANDS * scale),
    everyBytes: Number.POSITIVE_INFINITY,
    everyMs: Number.POSITIVE_INFINITY,
    onStop: false,
  }
  const machine = new ReplicatedMap<string, string>()
  const backend = memoryLog()
  const log = await backend.open({ group: GROUP, signature: machine.signature, author: 'writer' })
  const place = { group: GROUP, log: backend, dataDir, checkpoint: policy }
  await using replica = await createReplica({ ...place, machine })
  await replica.inSync()

  const apply = async (keys: readonly number[]): Promise<Applied> => {
    const entries = keys.map((key): NewEntry => {
      const at = Math.floor(Math.random() * (RANDOM.length - VALUE_CHARACTERS))
      const value = RANDOM.slice(at, at + VALUE_CHARACTERS)
      return { kind: 'command', payload: machine.commands.set(`key-${key}`, value) }
    })
    const { first } = await log.append(entries)
    const beganMs = performance.now()
    await replica.reached({ epoch: log.epoch, index: first + entries.length - 1 })
    const tookMs = performance.now() - beganMs
    return { entries: entries.length, tookMs }
  }
  replica.addEventListener('checkpoint', ({ detail }) => {
    if (detail.type === 'written') void log.prune(detail.position.index)
  })
  for (let from = 0; from < items; from += BATCH_ENTRIES) {
    await apply(Array.from({ length: Math.min(BATCH_ENTRIES, items - from) }, (_, n) => from + n))
  }
  const random = () => Array.from({ length: BATCH_ENTRIES }, () => Math.floor(Math.random() * items))
  return await inPairs(replica, wanted, () => apply(random()))
}

/** Sort the applied entries by whether a checkpoint was under way. The first checkpoint warms up. */
async function inPairs(
  replica: Replica<MapResult>,
  wanted: number,
  apply: () => Promise<Applied>,
): Promise<Pair[]> {
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
