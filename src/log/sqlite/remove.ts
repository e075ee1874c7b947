import { rm } from 'node:fs/promises'

/** The files of a log: SQLite's own, its write-ahead log, and the index of that. */
export function filesOf(path: string): string[] {
  return ['', '-wal', '-shm'].map((suffix) => path + suffix)
}

/** Remove those of the files that exist. */
export async function removeFiles(files: readonly string[]): Promise<void> {
  for (const file of files) await rm(file, { force: true })
}
