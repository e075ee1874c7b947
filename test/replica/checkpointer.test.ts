import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { fileStorage } from '../../src/checkpoint/file-storage.ts'
import { CheckpointStore } from '../../src/checkpoint/store.ts'
import { GroupState } from '../../src/group/group-state.ts'
import type { Position } from '../../src/position.ts'
import { Checkpointer } from '../../src/replica/disk/checkpointer.ts'
import { OwnState } from '../../src/replica/snapshots/own-state.ts'
import { AvailableSnapshots } from '../../src/snapshot/available.ts'
import { ITEM_BYTES_MAX } from '../../src/snapshot/chunk.ts'
import { CutHistory } from '../../src/snapshot/cut-history.ts'
import { zstdCoder } from '../../src/snapshot/encoding.ts'
import { CutFailed, Expired } from '../../src/sync/wire/errors.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { ItemSnapshot } from '../snapshot/item-snapshot.ts'

const SEAL_TIMEOUT_MS = 15_000
const CHUNK_BYTES = 1_000
const at = (index: number): Position => ({ epoch: 'e', index })
const capture = () => new ItemSnapshot([Buffer.from('a')])

let directory: string
let clock: VirtualClock
let available: AvailableSnapshots
let checkpointer: Checkpointer
let problems: Error[]
/** Markers that were appended for checkpoints. */
let markers: number
let applied: { index: number; commands: number; commandBytes: number }
/** What the leader does about a request. */
let onRequest: () => Promise<Position>
let written: number

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anchorage-checkpointer-'))
  clock = new VirtualClock()
  problems = []
  markers = 0
  written = 0
  applied = { index: 0, commands: 0, commandBytes: 0 }
  available = new AvailableSnapshots({
    clock,
    ttlMs: 60_000,
    onEvent: (event) => {
      if (event.type === 'captured') checkpointer.captured(event.anchor)
      if (event.type === 'released') checkpointer.released(event.anchor, event.why)
    },
  })
  const store = await CheckpointStore.open({
    directory,
    storage: fileStorage,
    group: 'g',
    signatures: ['s'],
    epoch: 'e',
    clock,
    coder: zstdCoder,
    keep: 2,
    onEvent: (event) => {
      if (event.type === 'written') written++
    },
  })
  checkpointer = new Checkpointer({
    store,
    policy: { everyCommands: 5, onStop: false },
    epoch: 'e',
    clock,
    sealTimeoutMs: SEAL_TIMEOUT_MS,
    applier: {
      get applied() {
        return applied.index
      },
      get commands() {
        return applied.commands
      },
      get commandBytes() {
        return applied.commandBytes
      },
    },
    status: { state: 'in-sync' },
    ownState: new OwnState({
      machine: { capture },
      group: new GroupState(),
      coder: zstdCoder,
      chunkBytes: CHUNK_BYTES,
      clock,
      cuts: new CutHistory(),
    }),
    reporter: { problem: (error) => void problems.push(error) },
  })
  checkpointer.start({
    requestAnchor: () => onRequest(),
    hold: (anchor) => {
      const cut = available.chunks(anchor)
      return cut && { cut, release: available.use(anchor) }
    },
    whyGone: (anchor) => {
      const found = available.get(anchor)
      if (found === undefined || !('released' in found)) return undefined
      return found.released === 'failed' ? new CutFailed(found.why) : new Expired('it was withdrawn')
    },
  })
})

afterEach(async () => {
  await checkpointer.stop({ isTrusted: false })
  await rm(directory, { recursive: true, force: true })
})

function write(count: number): void {
  const { index, commands, commandBytes } = applied
  applied = { index: index + count, commands: commands + count, commandBytes: commandBytes + count }
}

/** The leader appends a marker, and this replica captures these items there. */
async function mark(items: readonly Uint8Array[] = [Buffer.from('a')]): Promise<Position> {
  markers++
  applied = { ...applied, index: applied.index + 1 }
  const anchor = at(applied.index)
  available.add(anchor, new ItemSnapshot(items), { control: new Uint8Array(), chunkBytes: CHUNK_BYTES })
  await available.whenCut(anchor)?.catch(() => {})
  return anchor
}

async function pass(ms: number): Promise<void> {
  for (let passedMs = 0; passedMs < ms; passedMs += 500) {
    clock.advance(500)
    for (let n = 0; n < 8; n++) await nextTurn()
  }
}

/** Wait for the disk, which has no virtual clock. */
async function until(done: () => boolean): Promise<void> {
  for (let n = 0; n < 2_000 && !done(); n++) {
    clock.advance(1)
    await sleep(1)
  }
  expect(done()).toBe(true)
}

test('a state that cannot be cut is not captured again before it has changed, and then after a pause that grows', async () => {
  onRequest = () => mark([new Uint8Array(ITEM_BYTES_MAX + 1)])
  write(10)
  await pass(60_000)
  expect(markers).toBe(1)
  // Who captured it tells that.
  expect(problems).toEqual([])
  expect(checkpointer.outlook).toMatch(/the last try failed: an item of \d+ bytes is beyond the limit/)
  for (let n = 0; n < 600; n++) {
    write(1)
    await pass(1_000)
  }
  // After 2, 4, … 256 seconds.
  expect(markers).toBe(9)
}, 60_000)

test('an anchor that nobody agrees on, or that nobody captures, costs a marker less and less often', async () => {
  onRequest = async () => {
    const anchor = await mark()
    available.withdraw(anchor)
    return anchor
  }
  write(10)
  await pass(600_000)
  expect(markers).toBeLessThanOrEqual(10)
  expect(problems).toHaveLength(markers)
  expect(problems[0]).toMatchObject({ name: 'CheckpointFailed', cause: { name: 'Expired' } })
  expect(problems[0]?.message).toBe('no checkpoint was written: it was withdrawn; the next try is in 2000 ms')
  onRequest = async () => {
    write(1)
    return at(applied.index)
  }
  await pass(600_000)
  expect(problems.at(-1)?.message).toMatch(
    /this replica has captured nothing at e:\d+; the next try is in 300000 ms/,
  )
}, 60_000)

test('an anchor whose seal does not come is told, and the next ones are waited for longer', async () => {
  let sinceMs = Number.NEGATIVE_INFINITY
  let newest = at(0)
  onRequest = async () => {
    // As the leader does: it names an anchor while it may be sealed.
    if (clock.now() - sinceMs < SEAL_TIMEOUT_MS) return newest
    sinceMs = clock.now()
    newest = await mark()
    return newest
  }
  write(10)
  await pass(40_000)
  expect([markers, problems.length]).toEqual([3, 2])
  expect(problems[0]?.message).toMatch(/the group has not agreed on its state at e:11 in time; .* 2000 ms/)
  checkpointer.sealed(newest)
  await until(() => written === 1)
  await pass(120_000)
  expect(problems).toHaveLength(2)
})

test('a leader that names none is asked less and less often, and what it said is told', async () => {
  let asked = 0
  onRequest = async () => {
    asked++
    throw new Error('the leader is away')
  }
  write(10)
  await pass(600_000)
  expect(asked).toBeLessThanOrEqual(10)
  expect(problems[0]?.message).toMatch(/no checkpoint was written: the leader is away/)
}, 60_000)

test('a disk that takes nothing is tried less and less often, until it does', async () => {
  await rm(directory, { recursive: true })
  onRequest = async () => {
    checkpointer.sealed(await mark())
    // The seal is applied before the leader's answer is there.
    return at(applied.index + 1)
  }
  write(10)
  await pass(1_000)
  for (let n = 1, pauseMs = 30_000; n <= 6; n++, pauseMs = Math.min(2 * pauseMs, 300_000)) {
    await until(() => problems.length === n)
    expect(problems.at(-1)).toMatchObject({ code: 'ENOENT' })
    await pass(pauseMs - 6_000)
    expect([markers, problems.length]).toEqual([n, n])
    if (n < 6) await pass(7_000)
  }
  await mkdir(join(directory, 'chunks'), { recursive: true })
  await pass(7_000)
  await until(() => written === 1)
  expect(markers).toBe(7)
})
