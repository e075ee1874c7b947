import assert from 'node:assert/strict'
import { AppendUncertain, LogClosed, LogUnavailable } from '../../../log/errors.ts'
import type { Log, LogConnection } from '../../../log/log.ts'
import type { Chapter } from '../chapter.ts'
import { failsWith, hasFields, isError } from '../claims.ts'
import { commands, numbers, text } from '../entries.ts'
import { Follower, readAll } from '../follower.ts'
import type { Scene } from '../scene.ts'

const TELLS = 'connection tells whether the servers can be reached, and each change of it (LogConnection)'
const WAITS = "while the log's servers cannot be reached, follow waits (Log.follow)"
const OUTCOME =
  'an append resolves when all its entries are durable; AppendUncertain if some may have been committed; after any other error none was (Log.append)'

export const outages: Chapter = {
  group: 'without its servers',
  checks: [
    {
      title: 'the connection is told to be lost, and to be back',
      promise: TELLS,
      needs: ['cutOff'],
      async run(scene) {
        const connection = connectionOf(scene.log)
        const heard: boolean[] = []
        const stop = connection.onChange((connected) => heard.push(connected))
        const restore = await scene.cutOff()
        await becomes(scene, false)
        await restore()
        await becomes(scene, true)
        assert.deepEqual(heard, [false, true])
        stop()
      },
    },
    {
      title: 'a follower waits, and goes on with the entry after its last one',
      promise: WAITS,
      needs: ['cutOff'],
      async run(scene) {
        const { log, open, append } = scene
        await append('1', '2', '3')
        const follower = new Follower(log)
        await follower.take(3)
        const rest = follower.take(2)
        const restore = await scene.cutOff()
        await becomes(scene, false)
        await restore()
        await (await open({ author: 'bob' })).append(commands('4', '5'))
        assert.deepEqual((await rest).map(text), ['4', '5'])
      },
    },
    {
      title: 'a follower that begins meanwhile waits too, and one that is told to stop ends',
      promise: `${WAITS}, until the signal aborts`,
      needs: ['cutOff'],
      async run(scene) {
        const { log, append } = scene
        await append('1')
        const restore = await scene.cutOff()
        await becomes(scene, false)
        const patient = new Follower(log).take(1)
        const stopped = new Follower(log)
        const end = stopped.next()
        stopped.stop()
        assert.equal(await end, undefined)
        await restore()
        assert.deepEqual((await patient).map(text), ['1'])
      },
    },
    {
      title: 'reading, asking and opening reject with LogUnavailable',
      promise: 'read rejects with LogUnavailable instead of waiting, and so do the others (Log.read)',
      needs: ['cutOff'],
      async run(scene) {
        const { log, open, append } = scene
        await append('1')
        const restore = await scene.cutOff()
        await becomes(scene, false)
        const calls = [readAll(log), log.bounds(), log.notices.read(), open({ author: 'bob' })]
        await Promise.all(calls.map((call) => failsWith(call, LogUnavailable)))
        await restore()
        await becomes(scene, true)
        assert.deepEqual((await readAll(log)).map(text), ['1'])
      },
    },
    {
      title: 'no append under way is doubled, or lost after it was acknowledged',
      promise: OUTCOME,
      needs: ['cutOff'],
      async run(scene) {
        const { log } = scene
        const outcomes = numbers(1, 200).map((n) => outcomeOf(log, n))
        await outcomes[0]
        const restore = await scene.cutOff()
        const late = numbers(201, 220).map((n) => outcomeOf(log, n))
        await becomes(scene, false)
        await restore()
        await told(await Promise.all([...outcomes, ...late]), scene)
      },
    },
    {
      title: 'an append that begins meanwhile is carried through, or rejects, and is not doubled',
      promise: `${OUTCOME}: LogUnavailable if the servers did not answer`,
      needs: ['cutOff'],
      async run(scene) {
        const { log, append } = scene
        await append('before')
        const restore = await scene.cutOff()
        await becomes(scene, false)
        const outcomes = numbers(1, 20).map((n) => outcomeOf(log, n))
        await restore()
        await told(await Promise.all(outcomes), scene)
      },
    },
    {
      title: 'a watcher of presences waits, and shows them when the servers are back',
      promise: 'presences are shown again after each change (PresenceStore.watch)',
      needs: ['cutOff'],
      async run(scene) {
        const { log, open } = scene
        const boards = log.notices.watch()[Symbol.asyncIterator]()
        await boards.next()
        const restore = await scene.cutOff()
        await becomes(scene, false)
        await restore()
        await (await open()).notices.announce('bob', new Uint8Array(1), 60_000)
        for (;;) {
          const { value, done } = await boards.next()
          assert(!done, 'watch ended')
          if (value.some(({ member }: { member: string }) => member === 'bob')) return
        }
      },
    },
    {
      title: 'a handle can be closed, and everything ends',
      promise: 'close ends every iteration and settles pending appends first (Log.close)',
      needs: ['cutOff'],
      async run(scene) {
        const { log, append } = scene
        await append('1')
        const follower = new Follower(log, { index: 1 })
        const end = follower.next()
        const boards = log.notices.watch()[Symbol.asyncIterator]()
        await boards.next()
        const board = boards.next()
        const restore = await scene.cutOff()
        await becomes(scene, false)
        const outcome = outcomeOf(log, 'never sent')
        await log.close()
        assert.equal(await end, undefined)
        hasFields(await board, { done: true })
        await restore()
        await told([await outcome], scene)
      },
    },
  ],
}

/** How an append may fail meanwhile. `LogClosed` is for one that the end of its handle came before. */
const REFUSALS = [AppendUncertain, LogUnavailable, LogClosed]

interface Outcome {
  readonly text: string
  /** Undefined if the append resolved. */
  readonly error: unknown
}

async function outcomeOf(log: Log, text: string): Promise<Outcome> {
  try {
    await log.append(commands(text))
    return { text, error: undefined }
  } catch (error) {
    return { text, error }
  }
}

/** Compare what the appends told with what is in the log. */
async function told(outcomes: readonly Outcome[], { open }: Scene): Promise<void> {
  const other = await open({ author: 'bob' })
  // An entry that was on its way is in the log before this one, if it gets there at all.
  await other.append(commands('last'))
  const texts = (await readAll(other)).map(text)
  for (const { text, error } of outcomes) {
    const count = texts.filter((each) => each === text).length
    if (error === undefined) assert.equal(count, 1, `append ${text} resolved, and is there ${count} times`)
    else if (error instanceof AppendUncertain) assert(count <= 1, `append ${text} is there ${count} times`)
    else assert.equal(count, 0, `append ${text} failed with ${error}, and is in the log`)
    if (error !== undefined && !REFUSALS.some((Kind) => error instanceof Kind)) isError(error, LogUnavailable)
  }
}

function connectionOf({ connection }: Log): LogConnection {
  assert(connection, 'the log has servers that can be cut off, and no connection')
  return connection
}

async function becomes({ log, wait }: Scene, connected: boolean): Promise<void> {
  const connection = connectionOf(log)
  const changed = Promise.withResolvers<void>()
  const stop = connection.onChange((is) => is === connected && changed.resolve())
  try {
    if (connection.connected === connected) return
    await wait(`connection to tell ${connected ? 'that it is back' : 'that it is lost'}`, changed.promise)
  } finally {
    stop()
  }
}
