import { afterAll, beforeAll } from 'vitest'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { conformance } from './conformance.ts'
import { foreignHarness } from './foreign-place.ts'
import { describeNats } from './nats.ts'

describeNats('a stream of others on one server', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  afterAll(async () => {
    await nats?.stop()
  })

  // The log's indexes are not the stream's sequence numbers then.
  conformance(
    'jetstreamLog with control, where the log begins behind messages',
    foreignHarness(() => nats, 1, { older: 3 }),
  )
})
