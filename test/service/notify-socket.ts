import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Node.js has no datagram sockets of AF_UNIX. The file descriptor of a barrier is closed as systemd closes it. */
const RECEIVER = `
import json, os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
print("[]", flush=True)
while True:
    data, fds, _, _ = socket.recv_fds(server, 65536, 8)
    for fd in fds: os.close(fd)
    print(json.dumps(data.decode().splitlines()), flush=True)
`

const works = (program: string) => spawnSync(program, ['--version']).status === 0
export const canNotify = works('systemd-notify') && works('python3')
if (!canNotify)
  console.warn(
    '*** systemd-notify or python3 is not installed: WHAT A SERVICE MANAGER HEARS IS NOT TESTED ***',
  )

/** A service manager's socket, and what it is told. */
export class NotifySocket implements AsyncDisposable {
  readonly path: string
  readonly #dir: string
  readonly #receiver: ChildProcess
  readonly #lines: AsyncIterator<string>

  static async open(): Promise<NotifySocket> {
    const socket = new NotifySocket(await mkdtemp(join(tmpdir(), 'anchorage-notify-')))
    await socket.#next()
    return socket
  }

  private constructor(dir: string) {
    this.#dir = dir
    this.path = join(dir, 'notify')
    this.#receiver = spawn('python3', ['-c', RECEIVER, this.path], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#receiver.stdout! })[Symbol.asyncIterator]()
  }

  /** The next message's assignments, without the barriers that follow messages. */
  async next(): Promise<string[]> {
    for (;;) {
      const message = await this.#next()
      if (!message.includes('BARRIER=1')) return message
    }
  }

  /** The first message with this assignment; those before it are passed over. */
  async until(assignment: string): Promise<string[]> {
    for (;;) {
      const message = await this.next()
      if (message.includes(assignment)) return message
    }
  }

  async #next(): Promise<string[]> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error('the receiver has ended')
    return JSON.parse(value)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#receiver, 'close')
    this.#receiver.kill()
    await closed
    await rm(this.#dir, { recursive: true })
  }
}
