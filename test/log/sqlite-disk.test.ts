import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'

const PROGRAM = fileURLToPath(new URL('disk-process.ts', import.meta.url))
/** A mount namespace, in which anybody may mount a disk that nobody else sees, and that goes with the process. */
const UNSHARE = ['--user', '--map-root-user', '--mount', 'sh', '-ec']
const mounts = spawnSync('unshare', [...UNSHARE, 'mount -t tmpfs none /tmp']).status === 0
if (!mounts) console.warn('SKIPPED: this machine lets nobody mount a disk, so none can be filled')

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anchorage-disk-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** What the program saw on a disk that was mounted by this script, of which `$1` is the folder. */
async function on(mounting: string, what: string, folder = ''): Promise<Record<string, unknown>> {
  const args = ['sh', directory, process.execPath, PROGRAM, what, join(directory, folder)]
  const child = spawn('unshare', [...UNSHARE, `${mounting}; shift; exec "$@"`, ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  const ended = exited.then(([code]) => {
    throw new Error(`it ended with ${code}`)
  })
  const [seen] = await Promise.race([once(child, 'message'), ended])
  expect(await exited).toEqual([0, null])
  return seen
}

describe.skipIf(!mounts)('a log on a disk', () => {
  const named = (name: string, ...parts: string[]) =>
    expect.stringMatching(new RegExp(`^${name}: .*${[`${directory}.*group\\.log`, ...parts].join('.*')}`))

  test('that is full names the file and the disk in every error, and goes on when there is room', async () => {
    expect(await on('mount -t tmpfs -o size=2m none "$1"', 'full')).toEqual({
      append: named('AppendUncertain', 'disk is full', 'make room'),
      announce: named('LogUnusable', 'disk is full', 'make room'),
      prune: expect.stringMatching(/^done$|^LogUnusable: .*group\.log: .*disk is full; make room/),
      read: 'done',
      'make another': expect.stringMatching(
        /^LogUnusable: .*another\.log: it cannot be made: .*disk is full/,
      ),
      'append with room': 'done',
      entries: ['2', '3'],
      'open to read': 'done',
      'open to write': named('LogUnusable', 'disk is full', 'make room'),
    })
  })

  const TWICE = `mount -t tmpfs none "$1"; mkdir "$1/writable" "$1/here"
    mount --bind "$1/writable" "$1/here"; mount -o remount,bind,ro "$1/here"`
  const forbidden = () => named('LogUnusable', 'this user needs permission')
  const reads = () => ({
    make: expect.stringMatching(/^LogUnusable: .*another\.log: it cannot be made: .*permission/),
    replica: forbidden(),
    entries: ['1', '2'],
    newest: 2,
    members: ['alice'],
    append: forbidden(),
    announce: forbidden(),
    prune: forbidden(),
  })

  test.each(['live', 'closed'])(
    'that cannot be written here is read and followed, while it is %s elsewhere',
    async (how) => {
      const seen = await on(TWICE, `read-only-${how}`, 'here')
      expect(seen).toEqual({ ...reads(), followed: '3', after: ['1', '2', '3'] })
    },
  )

  test('that cannot be written here is read as a killed process left it', async () => {
    expect(await on(TWICE, 'read-only-crashed', 'here')).toEqual(reads())
  })
})
