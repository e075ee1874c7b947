import { afterAll, beforeAll } from 'vitest'
import { type NatsServers, startNatsServers } from '../../src/testing/nats-servers.ts'
import { conformance } from './conformance.ts'
import { describeNats, natsPlace } from './nats.ts'

describeNats('one server', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  afterAll(() => nats?.stop())

  conformance('jetstreamLog', () => natsPlace(nats, 1))
})
