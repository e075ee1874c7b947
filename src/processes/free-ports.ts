import { once } from 'node:events'
import { createServer } from 'node:net'
import { NatsServersFailed, PostgresFailed } from './errors.ts'

/** Starts before it gives up: another program may take a free port before the server does. */
const TRIES = 5

interface Servers {
  start(): Promise<void>
  stop(): Promise<void>
}

/** Ports that nobody listens on, all different. */
export async function freePorts(host: string, count: number): Promise<number[]> {
  const listeners = Array.from({ length: count }, () => createServer())
  try {
    return await Promise.all(
      listeners.map(async (listener) => {
        listener.listen(0, host)
        await once(listener, 'listening')
        return (listener.address() as { port: number }).port
      }),
    )
  } finally {
    for (const listener of listeners) listener.close()
  }
}

/**
 * Start servers that `layOut` lays out on free ports. If another program has taken one meanwhile, they are laid
 * out again, unless they must have the ports that they were given.
 */
export async function startOnFreePorts<Laid extends Servers>(
  layOut: () => Promise<Laid>,
  portsGiven: boolean,
): Promise<Laid> {
  for (let tries = 1; ; tries++) {
    const servers = await layOut()
    try {
      await servers.start()
      return servers
    } catch (error) {
      await servers.stop()
      const hasFailed = error instanceof NatsServersFailed || error instanceof PostgresFailed
      if (tries === TRIES || portsGiven || !hasFailed || !error.portTaken) throw error
    }
  }
}
