import { LogRefused } from '../errors.ts'
import { Connection, type ConnectionOptions } from './connection.ts'
import { failure } from './failures.ts'
import type { Host } from './hosts.ts'

/**
 * How long the other servers are waited for once one takes writes, in milliseconds. One of them may have been
 * promoted in its place.
 */
const OTHERS_MS = 500

/** Makes connections to the server that takes writes. */
export class Dialer {
  readonly #hosts: readonly Host[]
  readonly #options: ConnectionOptions

  constructor(hosts: readonly Host[], options: ConnectionOptions) {
    this.#hosts = hosts
    this.#options = options
  }

  /**
   * A connection to the server that takes writes. A primary that was deposed without its knowledge takes them
   * too, so all servers are asked, and the one that was promoted last is taken. Rejects with `LogUnavailable`,
   * or with `LogRefused` if every server that answers refuses.
   */
  async dial(signal: AbortSignal = new AbortController().signal): Promise<Connection> {
    if (this.#hosts.length === 1) return await this.#open(this.#hosts[0]!, signal)
    const opened: Connection[] = []
    const errors: Error[] = []
    const enough = Promise.withResolvers<void>()
    let isOver = false
    const opening = this.#hosts.map(async (host) => {
      try {
        const connection = await this.#open(host, signal)
        if (isOver) return await connection.close()
        opened.push(connection)
        this.#options.clock.schedule(OTHERS_MS, enough.resolve)
      } catch (error) {
        errors.push(error as Error)
      }
    })
    await Promise.race([Promise.all(opening), enough.promise])
    isOver = true
    const [newest, ...others] = opened.sort((a, b) => b.timeline - a.timeline)
    await Promise.all(others.map((connection) => connection.close()))
    if (newest === undefined) throw errors.find((error) => !(error instanceof LogRefused)) ?? errors[0]!
    return newest
  }

  async #open(host: Host, signal: AbortSignal): Promise<Connection> {
    try {
      return await Connection.open(host, this.#options, signal)
    } catch (error) {
      throw failure(error, host.place, 0)
    }
  }
}
