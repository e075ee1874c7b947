import { spawnSync } from 'node:child_process'
import { appendFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

/**
 * Runs a shell in a mount namespace: a user may mount a disk there, which no other process sees and which
 * ends with it.
 */
export const MOUNT_NAMESPACE = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-ec']
const SIZE_MIB = 48
const PIECE_BYTES = 256 * 1024
const FILLER = 'filler'

/** Whether this machine lets a user mount a disk. */
export function canMountDisks(): boolean {
  const [program, ...args] = MOUNT_NAMESPACE
  return spawnSync(program!, [...args, 'mount -t tmpfs none /tmp']).status === 0
}

/** What runs a process whose `directory`, which must be there, is a small empty disk. */
export function onSmallDisk(directory: string): readonly string[] {
  const mounting = `mount -t tmpfs -o size=${SIZE_MIB}m none "$1"; shift; exec "$@"`
  return [...MOUNT_NAMESPACE, mounting, 'sh', directory]
}

/** Fill the disk that the process has at `directory`, until nothing more fits. */
export async function fillDisk(pid: number, directory: string): Promise<void> {
  const filler = fillerOf(pid, directory)
  const piece = Buffer.alloc(PIECE_BYTES)
  try {
    for (let bytes = 0; bytes <= SIZE_MIB * 1024 * 1024; bytes += piece.length)
      await appendFile(filler, piece)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

/** Make room again. */
export async function freeDisk(pid: number, directory: string): Promise<void> {
  await rm(fillerOf(pid, directory), { force: true })
}

/** The file as seen from here: the mount is the process's own. */
function fillerOf(pid: number, directory: string): string {
  return join(`/proc/${pid}/root`, directory, FILLER)
}
