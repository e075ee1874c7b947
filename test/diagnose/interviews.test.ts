import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { Interviews } from '../../src/cli/facts/interviews.ts'
import { Cluster } from '../replica/cluster.ts'

test.each([0, 1])(
  'a replica that is gone, where another program listens now, and %i others: it is asked once',
  async (others) => {
    await using cluster = new Cluster()
    if (others > 0) await cluster.startLed(0)
    const log = await cluster.log.open({ group: 'journals', signature: 'journal/1', author: 'test' })
    const server = createServer((socket) => socket.on('error', () => {}).resume()).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const { signal } = new AbortController()
    await using interviews = await Interviews.begin({
      group: 'journals',
      signature: 'journal/1',
      log,
      signal,
    })
    const heard = await interviews.with([{ id: 'gone', addresses: [`/ip4/127.0.0.1/tcp/${port}`] } as never])
    expect(heard.get('gone')).toMatchObject({ how: 'shut', error: { message: 'it is gone' } })
    await log.close()
    server.close()
  },
)
