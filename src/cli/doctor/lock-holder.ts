import { readFile, stat } from 'node:fs/promises'

/** The process that holds a file's lock, where the system tells: on Linux, for processes that this user can see. */
export async function holderOf(path: string): Promise<string> {
  try {
    const { ino } = await stat(path)
    const locks = await readFile('/proc/locks', 'utf8')
    const line = locks.split('\n').find((one) => one.includes(`:${ino} `))
    const [, pid] = /\b(?:READ|WRITE)\s+(\d+)\s/.exec(line ?? '') ?? []
    if (pid === undefined) return 'a live process'
    const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
    const words = command.split('\0').join(' ').trim().slice(0, 100)
    return words === '' ? `process ${pid}` : `process ${pid} (${words})`
  } catch {
    return 'a live process'
  }
}
