import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import type { NoProvider } from '../../src/sync/errors.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'
import {
  anotherState,
  bomb,
  duplicateChunk,
  endlessList,
  type Lie,
  listWithoutEnd,
  oversizedFrame,
  reorderedChunks,
  shortChunk,
  silence,
  unaskedChunk,
  wrongBytes,
} from '../../src/testing/simulation/hostile/lies.ts'
import { Liar, withheld } from './byzantine-peers.ts'
import { Cluster, next, type Started } from './cluster.ts'
import { nextSync, synced } from './hostile.ts'
import { line } from './journal.ts'

/** Chunks that a bomb of a few KiB can pass for, and so many that everybody is asked. */
const CHUNK_BYTES = 16_384
const LINE_BYTES = 2_000
const LINES = 320

/** Lines that nobody wrote. */
const lies = () => Array.from({ length: LINES }, () => Buffer.from(randomLine()))
const randomLine = () => randomBytes(LINE_BYTES).toString('base64').slice(0, LINE_BYTES)

/** A group of one honest replica, whose log is pruned, and of liars who tell what they hear from it. */
class Trial implements AsyncDisposable {
  readonly cluster = new Cluster()
  readonly liars: Liar[] = []
  #leader: Started | undefined
  #anchored = false
  /**
   * What the honest replica answers those who are no liars, once an anchor is named. Until then it serves
   * nobody else.
   */
  readonly serves = Promise.withResolvers<boolean>()

  get leader(): Started {
    return this.#leader!
  }

  static async of(...lies: readonly Lie[]): Promise<Trial> {
    const trial = new Trial()
    const authorize = (peer: string) =>
      trial.#anchored && !trial.liars.some(({ id }) => id === peer) ? trial.serves.promise : true
    const [leader] = await trial.cluster.startLed(0, { chunkBytes: CHUNK_BYTES, authorize })
    trial.#leader = leader
    for (let n = 0; n < LINES; n++) await leader.replica.submit(line(randomLine()))
    await leader.replica.prune({ keepEntries: 0 })
    for (const lie of lies) trial.liars.push(await Liar.start(trial.cluster.log, leader.replica, lie))
    leader.replica.addEventListener('sync', ({ detail }) => {
      if (detail.type === 'captured') trial.#anchored = true
    })
    return trial
  }

  /** The joiner has the state of the honest replica, and both say so at a new anchor. */
  async expectRight({ replica, journal }: Started): Promise<void> {
    await replica.inSync()
    expect(journal.lines).toEqual(this.leader.journal.lines)
    const anchor = await this.leader.replica.mark()
    expect(await replica.rootAt(anchor)).toEqual(await this.leader.replica.rootAt(anchor))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.serves.resolve(false)
    await this.cluster[Symbol.asyncDispose]()
    await Promise.all(this.liars.map((liar) => liar[Symbol.asyncDispose]()))
  }
}

const LIES: [what: string, lie: () => Lie, said: string][] = [
  ['wrong bytes', () => wrongBytes, 'is not what the manifest promises'],
  ['a short chunk', () => shortChunk, 'is not what the manifest promises'],
  ['a chunk twice', () => duplicateChunk, 'where chunk'],
  ['chunks in another order', () => reorderedChunks, 'where chunk'],
  ['a frame that is too long', () => oversizedFrame, 'not a frame of this protocol'],
  ['a chunk that nobody asked for', () => unaskedChunk, 'an answer nobody asked for'],
  ['a bomb', () => bomb(64 << 20), 'is not what the manifest promises'],
  [
    'another state, consistent in itself',
    () => anotherState(lies(), CHUNK_BYTES),
    'is not the one that the group sealed',
  ],
  ['a list of chunks that goes on for ever', () => endlessList, 'a list of too many chunks'],
  ['a list of chunks without an end', () => listWithoutEnd, 'a list of chunks without an end'],
]

test.each(LIES)('who sends %s is named, and dropped for the session', async (_what, lie, said) => {
  await using trial = await Trial.of(lie())
  const [liar] = trial.liars
  const joiner = await trial.cluster.start({ lead: false })
  const { error } = await nextSync(joiner.replica, 'fault', ({ peer }) => peer === liar!.id)
  expect(error).toBeInstanceOf(ProvenFault)
  expect(error.message).toContain(said)
  const { opened } = liar!
  const faults = synced(joiner.replica, 'fault')
  trial.serves.resolve(true)
  await trial.expectRight(joiner)
  expect(liar!.opened).toBe(opened)
  expect(faults.map(({ peer }) => peer)).not.toContain(liar!.id)
})

test('who accepts everything and says nothing is named, and not waited for', async () => {
  await using trial = await Trial.of(silence)
  const joiner = await trial.cluster.start({ lead: false, fetchTimeoutMs: 300 })
  const { error } = await nextSync(joiner.replica, 'fault', ({ peer }) => peer === trial.liars[0]!.id)
  expect(error).not.toBeInstanceOf(ProvenFault)
  expect(error.message).toContain('sent nothing')
  trial.serves.resolve(true)
  await trial.expectRight(joiner)
})

test('who withholds chunks that others have is not waited for, nor called a liar', async () => {
  const [asked, done] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  await using trial = await Trial.of(withheld(done.promise, asked.resolve))
  const joiner = await trial.cluster.start({ lead: false, fetchTimeoutMs: 20_000 })
  const faults = synced(joiner.replica, 'fault')
  const caughtUp = next(joiner.replica, 'caught-up')
  await asked.promise
  trial.serves.resolve(true)
  await trial.expectRight(joiner)
  expect((await caughtUp).providersUsed).toEqual([trial.leader.replica.id])
  expect(faults).toEqual([])
  done.resolve()
})

test('one honest provider among three liars is enough', async () => {
  await using trial = await Trial.of(wrongBytes, silence, anotherState(lies(), CHUNK_BYTES))
  const joiner = await trial.cluster.start({ lead: false, fetchTimeoutMs: 500 })
  const caughtUp = next(joiner.replica, 'caught-up')
  const named = trial.liars.map(({ id }) => nextSync(joiner.replica, 'fault', ({ peer }) => peer === id))
  const proven = (await Promise.all(named)).map(({ error }) => error instanceof ProvenFault)
  expect(proven).toEqual([true, false, true])
  trial.serves.resolve(true)
  await trial.expectRight(joiner)
  expect((await caughtUp).providersUsed).toEqual([trial.leader.replica.id])
})

test('with liars only nothing is installed, and who did what is told', async () => {
  await using trial = await Trial.of(wrongBytes, silence, anotherState(lies(), CHUNK_BYTES), listWithoutEnd)
  trial.serves.resolve(false)
  const joiner = await trial.cluster.start({ lead: false, fetchTimeoutMs: 500, requestTimeoutMs: 1500 })
  const problem = await next(joiner.replica, 'problem')
  expect(problem.name).toBe('NoProvider')
  const { faults, message } = problem as NoProvider
  const [wrong, silent, another, endless] = trial.liars.map(({ id }) => id)
  const told: [string | undefined, string][] = [
    [wrong, 'is not what the manifest promises'],
    [silent, 'sent nothing'],
    [another, 'is not the one that the group sealed'],
    [endless, 'a list of chunks without an end'],
    [trial.leader.replica.id, 'authorize option does not let you in'],
  ]
  for (const [peer, what] of told) {
    expect(faults).toContainEqual({ peer, what: expect.stringContaining(what) })
    expect(message).toContain(peer)
  }
  expect([joiner.journal.lines, joiner.replica.counts.get('caught-up')]).toEqual([[], undefined])
  expect(() => joiner.replica.assertReadable()).toThrow(expect.objectContaining({ name: 'NotReadable' }))
})
