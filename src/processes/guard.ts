import { type ChildProcess, spawn } from 'node:child_process'

/** A process that kills another one when this process is gone, however it ended: it notices by the end of its input. */
export function guard(pid: number): ChildProcess {
  const script = 'trap "" INT TERM HUP; read -r _; kill -KILL "$0"'
  return spawn('/bin/sh', ['-c', script, String(pid)], { stdio: ['pipe', 'ignore', 'ignore'] })
}
