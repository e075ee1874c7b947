import type { Cluster } from '../../processes/cluster.ts'
import type { ReplicaProcess } from '../../processes/replica-process.ts'
import { EventFormatter } from '../event-formatter.ts'
import type { Output } from '../output.ts'

/** How often the events of the processes are read, in milliseconds: ten times a second looks immediate. */
const POLL_INTERVAL_MS = 100

/** Tells the demo's story on standard output. With `--json`, on standard error, and only on a terminal. */
export class DemoReporter {
  readonly #output: Output
  readonly #beganMs = performance.now()

  constructor(output: Output) {
    this.#output = output
  }

  say(text: string, who = ''): void {
    const seconds = ((performance.now() - this.#beganMs) / 1_000).toFixed(1)
    const line = `${this.#output.style('dim', `${seconds.padStart(5)} s`)}  ${who && `${who} `.padEnd(11)}${text}`
    if (!this.#output.json) this.#output.line(line)
    else if (process.stderr.isTTY) this.#output.aside(line)
  }

  progress(text: string): void {
    this.#output.progress(`         ${text}`)
  }

  /** Await a step. Each second, tell that it is under way. */
  async waiting<T>(what: string, work: Promise<T>): Promise<T> {
    return await this.#output.waiting(`         ${what}`, work)
  }

  /** Tell what happens to the processes of a cluster while some work goes on. */
  async during<T>(cluster: Cluster, work: () => Promise<T>): Promise<T> {
    const passed = new Map(cluster.replicas.map((replica) => [replica, replica.events.length]))
    const formatters = new Map<ReplicaProcess, EventFormatter>()
    const look = () => {
      const news = cluster.replicas.flatMap((replica) => {
        const events = replica.events.slice(passed.get(replica) ?? 0)
        passed.set(replica, replica.events.length)
        if (!formatters.has(replica)) formatters.set(replica, new EventFormatter(this.#output, replica.id))
        return events.map((event) => ({ replica, event }))
      })
      // Those of one millisecond stay in their order.
      for (const { replica, event } of news.sort((a, b) => a.event.atMs - b.event.atMs)) {
        const text = formatters.get(replica)!.tell(event)
        if (text !== undefined) this.say(text, replica.name)
      }
    }
    const timer = setInterval(look, POLL_INTERVAL_MS)
    try {
      return await work()
    } finally {
      clearInterval(timer)
      look()
    }
  }
}
