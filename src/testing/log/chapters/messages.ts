import assert from 'node:assert/strict'
import { LogRefused } from '../../../log/errors.ts'
import type { NewEntry } from '../../../log/log.ts'
import type { Chapter } from '../chapter.ts'
import { failsWith, hasFields } from '../claims.ts'
import { commands, numbers, text } from '../entries.ts'
import { Follower, readAll } from '../follower.ts'
import type { Scene } from '../scene.ts'

const COMMAND =
  'a command has the subject and the headers of its message, its bytes untouched, and no author (LogEntry.message)'
const REFUSED =
  'a command has a message where others write the log too, and must not have one elsewhere: RangeError, and nothing of the append is written (NewEntry.message)'

const bytes = Uint8Array.from({ length: 256 }, (_, byte) => byte)

export const messages: Chapter = {
  group: 'messages',
  checks: [
    {
      title: 'a log says whether it prunes, and keeps to it',
      promise: 'where prunes is false, prune rejects with LogRefused, and elsewhere it prunes (Log.prunes)',
      async run({ log, append }) {
        await append('1', '2')
        const prunes = log.prunes ?? true
        if (prunes) await log.prune(1)
        else await failsWith(log.prune(1), LogRefused)
        assert.equal((await log.bounds()).first, prunes ? 2 : 1)
      },
    },
    {
      title: 'a subject is a RangeError where the log takes none, and nothing is written',
      promise: REFUSED,
      messages: false,
      async run(scene) {
        assert.equal(scene.log.hasMessages ?? false, false, 'its harness should say messages: { subject }')
        await refused(scene, { kind: 'command', payload: bytes, message: { subject: 'a.subject' } })
      },
    },
    {
      title: 'a command comes back with its subject and its headers',
      promise: COMMAND,
      messages: true,
      async run({ log, subject = '' }) {
        assert.equal(log.hasMessages, true)
        const headers = { Priority: 'high', Tags: ['a', 'b'] }
        const { firstId } = await log.append([
          { kind: 'command', payload: bytes, message: { subject, headers } },
          { kind: 'command', payload: new Uint8Array(0), message: { subject } },
        ])
        const [first, second] = await readAll(log)
        const ours = { kind: 'command', author: '', epoch: log.epoch }
        hasFields(first, { ...ours, id: firstId, message: { subject } })
        hasFields(first!.message!.headers, { Priority: ['high'], Tags: ['a', 'b'] })
        assert.deepEqual(Uint8Array.from(first!.payload), bytes)
        hasFields(second, { ...ours, message: { subject } })
        assert.equal(second!.payload.byteLength, 0)
      },
    },
    {
      title: 'a message that others publish is a command, with an id',
      promise: COMMAND,
      messages: true,
      needs: ['publish'],
      async run({ log, subject = '', publish, open }) {
        await publish({ subject, headers: { Priority: 'high' } }, bytes)
        await publish({ subject }, bytes)
        const [first, second] = await readAll(log)
        hasFields(first, { index: 1, kind: 'command', author: '', epoch: log.epoch, message: { subject } })
        hasFields(first!.message!.headers, { Priority: ['high'] })
        assert.deepEqual(Uint8Array.from(first!.payload), bytes)
        assert.notEqual(first!.id, second!.id)
        const again = await readAll(await open())
        assert.deepEqual(
          again.map(({ id }) => id),
          [first!.id, second!.id],
        )
      },
    },
    {
      title: 'a command without a subject is a RangeError, and nothing is written',
      promise: REFUSED,
      messages: true,
      run: (scene) => refused(scene, { kind: 'command', payload: bytes, message: undefined }),
    },
    {
      title: "an entry of the group's own has its author and no message, and takes no subject",
      promise: REFUSED,
      messages: true,
      async run(scene) {
        const { log, subject = '' } = scene
        await refused(scene, { kind: 'control', payload: bytes, message: { subject } })
        await log.append([{ kind: 'control', payload: bytes }])
        const [entry] = await readAll(log)
        hasFields(entry, { kind: 'control', author: 'alice', message: undefined })
        assert.deepEqual(Uint8Array.from(entry!.payload), bytes)
      },
    },
    {
      title: 'a follower sees what others publish and what handles append once, in one order',
      promise: 'every entry after the cursor, once and in order, whoever wrote it (Log.follow)',
      messages: true,
      needs: ['publish'],
      run: oneOrder,
    },
  ],
}

async function refused({ log }: Scene, entry: NewEntry): Promise<void> {
  await failsWith(log.append([...commands('a'), entry]), RangeError)
  assert.equal((await log.bounds()).newest.index, 0)
}

async function oneOrder({ log, open, publish, subject = '' }: Scene): Promise<void> {
  const follower = new Follower(await open({ author: 'bob' }))
  const appended = numbers(1, 50).map((n) => log.append(commands(`ours ${n}`)))
  for (const n of numbers(1, 50)) await publish({ subject }, new TextEncoder().encode(`theirs ${n}`))
  await Promise.all(appended)
  const entries = await follower.take(100)
  assert.deepEqual(
    entries.map(({ index }) => index),
    numbers(1, 100).map(Number),
  )
  const texts = entries.map(text)
  for (const whose of ['ours', 'theirs']) {
    const own = texts.filter((each) => each.startsWith(whose))
    assert.deepEqual(
      own,
      numbers(1, 50).map((n) => `${whose} ${n}`),
    )
  }
}
