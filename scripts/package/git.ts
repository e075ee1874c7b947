import { execFileSync } from 'node:child_process'

/** What a command of git prints in a folder. Throws what git says, if it fails. */
export function git(folder: string, ...args: readonly string[]): string {
  return execFileSync('git', args, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trimEnd()
}
