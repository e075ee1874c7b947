import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Starts a process that kills another one when this process has ended, however it did: its input ends then.
 */
export function guard(pid: number): ChildProcess {
  const script = 'trap "" INT TERM HUP; read -r _; kill -KILL "$0"'
  return spawn('/bin/sh', ['-c', script, String(pid)], { stdio: ['pipe', 'ignore', 'ignore'] })
}
