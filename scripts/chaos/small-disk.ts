import { spawnSync } from 'node:child_process'
import { appendFile, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** A mount namespace: any user may mount a disk in it that no other process sees, and that ends with the process. */
const UNSHARE = ['unshare', '--user', '--map-root-user', '--mount', 'sh', '-ec']
const SIZE_MIB = 48
const PIECE_BYTES = 256 * 1024
const FILLER = 'filler'

/** Whether this machine lets a user mount a disk. */
export function canMountDisks(): boolean {
  const [program, ...args] = UNSHARE
  return spawnSync(program!, [...args, 'mount -t tmpfs none /tmp']).status === 0
}

/** What runs a process whose `directory`, which must be there, is a small empty disk. */
export function onSmallDisk(directory: string): readonly string[] {
  const mounting = `mount -t tmpfs -o size=${SIZE_MIB}m none "$1"; shift; exec "$@"`
  return [...UNSHARE, mounting, 'sh', directory]
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
