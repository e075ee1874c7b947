import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The first of the folders that has each of the programs. Folders of the PATH come first. */
export function folderWith(programs: readonly string[], folders: readonly string[]): string | undefined {
  const { PATH = '' } = process.env
  return [...PATH.split(delimiter), ...folders].find((folder) => hasPrograms(folder, programs))
}

export function hasPrograms(folder: string, programs: readonly string[]): boolean {
  return programs.every((program) => isExecutable(join(folder, program)))
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
