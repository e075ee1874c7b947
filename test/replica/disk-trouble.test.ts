import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { canMount, seenOn } from '../mounted-disk.ts'

const PROGRAM = fileURLToPath(new URL('disk-process.ts', import.meta.url))

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anchorage-disk-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** What the program saw on a disk mounted with these options. */
function on(options: string, what: string): Promise<unknown> {
  return seenOn(directory, `mount -t tmpfs -o ${options} none "$1"`, PROGRAM, what, directory)
}

test.skipIf(!canMount)('on a full disk the last good checkpoint stays, and the replica goes on', async () => {
  expect(await on('size=2m', 'full')).toEqual({
    first: 'written',
    problem: 'ENOSPC',
    state: 'in-sync',
    files: [expect.stringMatching(/^\d+-[0-9a-f]+\.checkpoint$/)],
    atStop: 'ENOSPC',
    again: 'loaded',
    size: 21,
    withRoom: 'written',
  })
})

test.skipIf(!canMount)(
  'a checkpoint takes no room beside what was fetched, if that is the same',
  async () => {
    expect(await on('size=5m', 'narrow')).toEqual({ kept: 1, checkpoint: 'written', problems: [], left: 1 })
  },
)

test.skipIf(!canMount)('what was fetched gives way to a checkpoint of another state', async () => {
  // Room is made first.
  expect(await on('size=5m', 'other')).toEqual({ kept: 1, checkpoint: 'freed', problems: [], left: 1 })
})

test.skipIf(!canMount)('a directory that cannot be written is refused', async () => {
  expect(await on('ro', 'read-only')).toEqual({
    name: 'DirectoryUnusable',
    message: expect.stringContaining(directory),
  })
})
