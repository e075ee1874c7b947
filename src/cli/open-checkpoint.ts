import { type CheckpointReader, openCheckpoint } from '../checkpoint/file.ts'
import { fileStorage } from '../checkpoint/file-storage.ts'
import { unreadable } from './input.ts'

/** Opens a checkpoint. Throws `InputUnreadable` if there is no such file. */
export async function checkpointAt(file: string): Promise<CheckpointReader> {
  return await openCheckpoint(file, fileStorage).catch((error: unknown) => {
    throw error instanceof Error && 'syscall' in error ? unreadable(file, error) : error
  })
}
