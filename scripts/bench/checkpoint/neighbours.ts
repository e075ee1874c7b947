import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { CheckpointPolicy } from '../../../src/index.ts'
import type { CheckpointEvent } from '../../../src/replica/index.ts'
import type { Pair } from '../runner.ts'
import { Subject } from './subject.ts'

/** The part of the state that is changed between two checkpoints. */
const CHANGED = 0.01
/** A checkpoint is written when it is asked for. */
const POLICY: CheckpointPolicy = {
  everyCommands: Number.POSITIVE_INFINITY,
  everyBytes: Number.POSITIVE_INFINITY,
  everyMs: Number.POSITIVE_INFINITY,
  onStop: false,
}

type Written = Extract<CheckpointEvent, { type: 'written' }>

/**
 * Change items that follow one another, and write a checkpoint: the bytes of the files that are new then, and
 * those of all the files of this checkpoint.
 */
export async function measureNeighbours(dataDir: string, items: number, wanted: number): Promise<Pair[]> {
  await using subject = await Subject.start(dataDir, items, POLICY)
  await written(subject)
  const changed = Math.ceil(items * CHANGED)
  const pairs: Pair[] = []
  for (let run = 0; run < wanted; run++) {
    const before = new Set(await files(dataDir))
    await subject.setFrom(Math.floor(Math.random() * (items - changed)), changed)
    const { bytes, wholeBytes } = await written(subject)
    const made = (await files(dataDir)).filter((path) => !before.has(path))
    const sizes = await Promise.all(made.map(async (path) => (await stat(path)).size))
    const ours = sizes.reduce((sum, size) => sum + size, 0)
    if (ours !== bytes) throw new Error(`${ours} bytes are new on disk, and the replica told of ${bytes}`)
    pairs.push({ ours, baseline: wholeBytes })
  }
  return pairs
}

async function written({ replica }: Subject): Promise<Written> {
  const ends = AbortSignal.timeout(120_000)
  const events = Promise.withResolvers<Written>()
  const look = ({ detail }: CustomEvent<CheckpointEvent>) => {
    if (detail.type === 'written') events.resolve(detail)
  }
  replica.addEventListener('checkpoint', look)
  try {
    await replica.mark()
    return await Promise.race([
      events.promise,
      once(ends, 'abort').then(() => Promise.reject(new Error('no checkpoint'))),
    ])
  } finally {
    replica.removeEventListener('checkpoint', look)
  }
}

async function files(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, 'checkpoints'), { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
