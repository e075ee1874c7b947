import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The kernel's memory controller, in its first and its second version. */
const VERSIONS = [
  { line: /^\d+:memory:(.+)$/m, root: '/sys/fs/cgroup/memory', limit: 'memory.limit_in_bytes' },
  { line: /^0::(.+)$/m, root: '/sys/fs/cgroup', limit: 'memory.max' },
] as const

/**
 * A limit for all memory of some processes, the pages of files that the kernel keeps for them included (Linux).
 * It is below this process's own group, and ends when it is disposed of, after those processes have ended.
 */
export class MemoryLimit implements Disposable {
  readonly #directory: string

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Undefined where this machine does not let this user do it. */
  static make(name: string, bytes: number): MemoryLimit | undefined {
    const groups = readFileSync('/proc/self/cgroup', 'utf8')
    for (const { line, root, limit } of VERSIONS) {
      const [, own] = line.exec(groups) ?? []
      if (own === undefined) continue
      const directory = join(root, own, `anchorage-${process.pid}-${name}`)
      try {
        mkdirSync(directory)
      } catch {
        continue
      }
      try {
        writeFileSync(join(directory, limit), String(bytes))
        return new MemoryLimit(directory)
      } catch {
        rmdirSync(directory)
      }
    }
    return undefined
  }

  /** Limit a process from now on. */
  add(pid: number): void {
    writeFileSync(join(this.#directory, 'cgroup.procs'), String(pid))
  }

  [Symbol.dispose](): void {
    try {
      rmdirSync(this.#directory)
    } catch {
      // A process of it is still ending: an empty group is no harm.
    }
  }
}
