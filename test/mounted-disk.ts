import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect } from 'vitest'
import { canMountDisks, MOUNT_NAMESPACE } from '../scripts/chaos/small-disk.ts'

/** False if this machine does not let a user mount a disk. */
export const canMount = canMountDisks()
if (!canMount) console.warn('SKIPPED: this machine lets nobody mount a disk, so none can be filled')

/** What a program reports, after a script has mounted something below `directory`, which is its `$1`. */
export async function seenOn(directory: string, mounting: string, ...program: string[]): Promise<unknown> {
  const [unshare, ...namespace] = MOUNT_NAMESPACE
  const args = [`${mounting}; shift; exec "$@"`, 'sh', directory, process.execPath, ...program]
  const child = spawn(unshare!, [...namespace, ...args], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  const ended = exited.then(([code]) => {
    throw new Error(`it ended with ${code}`)
  })
  const [seen] = await Promise.race([once(child, 'message'), ended])
  expect(await exited).toEqual([0, null])
  return seen
}
