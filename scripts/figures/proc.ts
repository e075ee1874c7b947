/** What Linux tells of processes and of the loopback interface. */

import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Fields of /proc/PID/stat behind the name, which may hold spaces: user and system time, in ticks. */
const [USER, SYSTEM] = [11, 12]
const KIB_IN_MIB = 1024

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

/** Processor time of processes, user and system, in milliseconds. */
export function cpuMs(pids: readonly number[]): number {
  const ticks = pids.reduce((sum, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return sum + Number(fields[USER]) + Number(fields[SYSTEM])
  }, 0)
  return (ticks * 1_000) / ticksPerSecond
}

/** The most memory that a process has had, in MiB. */
export function peakMiB(pid: number): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return Number(kib) / KIB_IN_MIB
}

/** Bytes that came in over loopback, of TCP and UDP alike, with their headers. It is of this network namespace. */
export function loopbackBytes(): number {
  const [, bytes] = /^\s*lo:\s*(\d+)/m.exec(readFileSync('/proc/net/dev', 'utf8'))!
  return Number(bytes)
}

/** The children of this process whose program has this name. */
export function childrenNamed(name: string): number[] {
  const children = readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
  return children.filter((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === name)
}
