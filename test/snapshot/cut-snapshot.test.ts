import { expect, test } from 'vitest'
import { CutSnapshot } from '../../src/snapshot/cut-snapshot.ts'
import { chunkHash, makeManifest } from '../../src/snapshot/manifest.ts'
import { rawCoder } from './raw-coder.ts'

const CONTROL = Buffer.from('control')
const BYTES = Buffer.from('some bytes')
const INFO = { items: 1, bytes: BYTES.length, hash: chunkHash(BYTES) }

function cutOf(count: number): CutSnapshot {
  const cut = new CutSnapshot(rawCoder)
  for (let n = 0; n < count; n++) cut.add(BYTES, INFO)
  return cut
}

/** The outcome of a wait, as far as it is known. */
function watch(waiting: Promise<void>): { outcome: string } {
  const watched = { outcome: 'waits' }
  waiting.then(
    () => {
      watched.outcome = 'resolved'
    },
    (error: Error) => {
      watched.outcome = error.message
    },
  )
  return watched
}

const turn = () => new Promise(setImmediate)

test.each<[what: string, have: number, count: number, then: (cut: CutSnapshot) => void, outcome: string]>([
  ['there are more already', 2, 1, () => {}, 'resolved'],
  ['there are just as many', 2, 2, () => {}, 'waits'],
  ['one more comes', 2, 2, (cut) => cut.add(BYTES, INFO), 'resolved'],
  ['one more comes, and that is not enough', 2, 3, (cut) => cut.add(BYTES, INFO), 'waits'],
  ['those were all', 2, 2, (cut) => cut.finish(CONTROL), 'resolved'],
  ['those were all, and far fewer', 2, 99, (cut) => cut.finish(CONTROL), 'resolved'],
  ['those were all, and none', 0, 0, (cut) => cut.finish(CONTROL), 'resolved'],
  ['cutting fails', 2, 2, (cut) => cut.fail(new Error('the disk is gone')), 'the disk is gone'],
  ['cutting fails, but there are more', 2, 1, (cut) => cut.fail(new Error('gone')), 'resolved'],
])('a wait for more chunks where %s', async (_what, have, count, change, outcome) => {
  const cut = cutOf(have)
  const before = watch(cut.beyond(count))
  await turn()
  change(cut)
  const after = watch(cut.beyond(count))
  await turn()
  expect([before.outcome, after.outcome]).toEqual([outcome, outcome])
})

test('every wait ends when a chunk comes', async () => {
  const cut = cutOf(0)
  const waiting = [watch(cut.beyond(0)), watch(cut.beyond(0)), watch(cut.beyond(1))]
  cut.add(BYTES, INFO)
  await turn()
  expect(waiting.map(({ outcome }) => outcome)).toEqual(['resolved', 'resolved', 'waits'])
})

test('a chunk is available before the last one is cut, and the manifest only after it', async () => {
  const cut = cutOf(1)
  expect([await cut.chunk(0), cut.manifest]).toEqual([{ encoding: 'raw', bytes: BYTES }, undefined])
  await expect(cut.chunk(1)).rejects.toThrow(RangeError)
  cut.add(BYTES, INFO)
  expect(cut.finish(CONTROL)).toEqual(makeManifest(CONTROL, [INFO, INFO]))
  expect(cut.manifest?.chunks).toEqual(cut.infos)
})

test('chunks that were cut before cutting failed stay available', async () => {
  const cut = cutOf(1)
  cut.fail(new Error('the disk is gone'))
  expect(await cut.chunk(0)).toMatchObject({ bytes: BYTES })
})
