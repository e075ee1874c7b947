import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { canMount, seenOn } from '../mounted-disk.ts'

const PROGRAM = fileURLToPath(new URL('sqlite-disk-process.ts', import.meta.url))

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'anchorage-disk-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** What the program saw on a disk of 5 MiB. */
function seen(what: string): Promise<unknown> {
  return seenOn(directory, 'mount -t tmpfs -o size=5m none "$1"', PROGRAM, what, directory)
}

test.skipIf(!canMount)(
  'a write that the disk does not take stops the replica, and counts when there is room',
  async () => {
    expect(await seen('full')).toEqual({ write: 'ApplyFailed', state: 'halted', rows: 1, after: 2 })
  },
)

test.skipIf(!canMount)(
  'a snapshot that does not fit on the disk leaves nothing of it on the disk',
  async () => {
    expect(await seen('narrow')).toEqual({
      joined: 'InstallFailed',
      files: [expect.stringMatching(/^state.\d.db$/)],
    })
  },
)
