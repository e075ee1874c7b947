import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'vitest'

/**
 * A mount namespace: any user may mount a disk in it that no other process sees, and that is gone when the
 * process ends.
 */
const UNSHARE = ['--user', '--map-root-user', '--mount', 'sh', '-ec']

/** False if this machine does not let a user mount a disk. */
export const canMount = spawnSync('unshare', [...UNSHARE, 'mount -t tmpfs none /tmp']).status === 0
if (!canMount) console.warn('SKIPPED: this machine lets nobody mount a disk, so none can be filled')

/** What a program reports, after a script has mounted something below `directory`, which is its `$1`. */
export async function seenOn(directory: string, mounting: string, ...program: string[]): Promise<unknown> {
  const args = [`${mounting}; shift; exec "$@"`, 'sh', directory, process.execPath, ...program]
  const child = spawn('unshare', [...UNSHARE, ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  const ended = exited.then(([code]) => {
    throw new Error(`it ended with ${code}`)
  })
  const [seen] = await Promise.race([once(child, 'message'), ended])
  expect(await exited).toEqual([0, null])
  return seen
}
