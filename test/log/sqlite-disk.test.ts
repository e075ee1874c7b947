import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { canMount, seenOn } from '../mounted-disk.ts'

const PROGRAM = fileURLToPath(new URL('disk-process.ts', import.meta.url))

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anchorage-disk-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** What the program reports on a disk that this script mounted. `$1` is its folder. */
function on(mounting: string, what: string, folder = ''): Promise<unknown> {
  return seenOn(directory, mounting, PROGRAM, what, join(directory, folder))
}

describe.skipIf(!canMount)('a log on a disk', () => {
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
    'note an upgrade': forbidden(),
  })

  test.each(['live', 'closed'])(
    'that cannot be written here is read and followed, while it is %s elsewhere',
    async (how) => {
      expect(await on(TWICE, `read-only-${how}`, 'here')).toEqual({
        ...reads(),
        followed: '3',
        after: ['1', '2', '3'],
        'open after an upgrade': named('LogMismatch', 'went over to "another"'),
      })
    },
  )

  test('that cannot be written here is read as a killed process left it', async () => {
    expect(await on(TWICE, 'read-only-crashed', 'here')).toEqual(reads())
  })
})
