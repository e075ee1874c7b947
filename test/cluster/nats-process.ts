import { startNatsServers } from '../../src/testing/index.ts'

/** A NATS server as a process of its own can be run anywhere, such as in a network namespace. It ends with its parent. */

const [, , host] = process.argv
const starting = startNatsServers({ host: host! })
process.once('disconnect', async () => (await starting).stop())
const { urls } = await starting
process.send?.(urls)
