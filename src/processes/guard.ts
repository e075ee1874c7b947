import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Starts a process that kills others when this process has ended, however it did: its input ends then.
 */
export function guard(...pids: readonly number[]): ChildProcess {
  const script = 'trap "" INT TERM HUP; read -r _; kill -KILL "$@"'
  return spawn('/bin/sh', ['-c', script, 'guard', ...pids.map(String)], {
    stdio: ['pipe', 'ignore', 'ignore'],
  })
}
