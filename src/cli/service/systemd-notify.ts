import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { systemClock } from '../../time/clock.ts'

/** It waits 5 s for the service manager. One that has not ended after so long, in milliseconds, will not. */
const END_MS_MAX = 10_000
const PROGRAM = 'systemd-notify'

/** The program cannot be started here. */
export class NotifierMissing extends Error {
  override readonly name = 'NotifierMissing'
}

/**
 * Tells the service manager something, by the program `systemd-notify`: its socket takes datagrams of the `AF_UNIX`
 * kind, which Node.js cannot send.
 */
export class SystemdNotify {
  readonly #env: NodeJS.ProcessEnv

  /** Undefined where no service manager wants to be told. */
  static in(env: NodeJS.ProcessEnv): SystemdNotify | undefined {
    return env.NOTIFY_SOCKET ? new SystemdNotify(env) : undefined
  }

  private constructor(env: NodeJS.ProcessEnv) {
    this.#env = env
  }

  /**
   * Resolves when the service manager has taken the assignments, such as `READY=1`. Never keeps this process from
   * ending. Throws `NotifierMissing`, and an `Error` with what the program says.
   */
  async send(assignments: readonly string[]): Promise<void> {
    // Without --no-block it ends when systemd has read the message. Of a process that is gone by then, systemd would
    // not know the service.
    const child = spawn(PROGRAM, assignments, { env: this.#env, stdio: ['ignore', 'ignore', 'pipe'] })
    const closed: Promise<unknown[]> = once(child, 'close')
    const overdue = systemClock.schedule(END_MS_MAX, () => child.kill('SIGKILL'))
    child.unref()
    try {
      const [said, [code, signal]] = await Promise.all([saidOn(child.stderr), closed])
      if (code !== 0) throw new Error(said || `${PROGRAM} ended with ${code ?? signal}`)
    } catch (error) {
      throw isMissing(error) ? new NotifierMissing((error as Error).message) : error
    } finally {
      overdue.cancel()
    }
  }
}

/** There is none where the process has no more files to open. */
async function saidOn(stderr: Readable | null): Promise<string> {
  if (!stderr) return ''
  ;(stderr as Socket).unref()
  return (await text(stderr).catch(() => '')).trim()
}

function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOENT' || code === 'EACCES'
}
