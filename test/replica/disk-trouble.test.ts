import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'

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

/** What the program saw on a disk mounted with these options. */
async function on(options: string, what: string): Promise<unknown> {
  const script = 'mount -t tmpfs -o "$1" none "$2"; shift 2; exec "$@"'
  const args = ['sh', options, directory, process.execPath, PROGRAM, what, directory]
  const child = spawn('unshare', [...UNSHARE, script, ...args], {
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

test.skipIf(!mounts)('on a full disk the last good checkpoint stays, and the replica goes on', async () => {
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

test.skipIf(!mounts)(
  'what was fetched gives way to the checkpoint where the disk has no room for both',
  async () => {
    expect(await on('size=5m', 'narrow')).toEqual({ kept: 1, checkpoint: 'written', problems: [], left: 0 })
  },
)

test.skipIf(!mounts)('a directory that cannot be written is refused', async () => {
  expect(await on('ro', 'read-only')).toEqual({
    name: 'DirectoryUnusable',
    message: expect.stringContaining(directory),
  })
})
