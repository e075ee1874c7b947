import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LiveClient } from '../../src/observe/page/live-client.ts'

const BIG = 'x'.repeat(100_000)

const server = createServer()
let socket: Socket
let request: IncomingMessage
let response: ServerResponse

beforeEach(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const asked = once(server, 'request')
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write('GET /live HTTP/1.1\r\nhost: localhost\r\n\r\n')
  ;[request, response] = await asked
})

afterEach(async () => {
  socket.destroy()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

/** Resolves when the system takes no more: the client does not read. */
async function fill(client: LiveClient): Promise<number> {
  let number = 0
  do {
    client.show({ number: ++number, json: BIG }, 0)
    await turn()
  } while (response.writableLength === 0)
  return number
}

test('a client that does not read is sent no view until it has the one before, and is dropped after 30 s', async () => {
  socket.pause()
  const client = new LiveClient(request, response, 0)
  let number = await fill(client)
  const waiting = response.writableLength
  for (let more = 0; more < 100; more++) client.show({ number: ++number, json: BIG }, 29_999)
  expect([response.destroyed, response.writableLength]).toEqual([false, waiting])
  client.show({ number: ++number, json: BIG }, 30_000)
  expect(response.destroyed).toBe(true)
  client.show({ number: ++number, json: BIG }, 30_000)
  client.tell({ id: 'a-1', number: 1, json: '{}' })
})

test('a client that reads again is sent the newest view', async () => {
  socket.pause()
  const client = new LiveClient(request, response, 0)
  let number = await fill(client)
  client.show({ number: ++number, json: '"skipped"' }, 0)
  let text = ''
  socket.on('data', (bytes) => (text += bytes))
  socket.resume()
  while (response.writableLength > 0) await turn()
  client.show({ number: ++number, json: '"newest"' }, 29_000)
  client.show({ number, json: '"newest"' }, 31_000)
  while (!text.includes('newest')) await once(socket, 'data')
  client.drop()
  await once(socket, 'close')
  expect(text).not.toContain('skipped')
  expect(text.match(/"newest"/g)).toHaveLength(1)
})

test('a client that does not read is dropped for the events that wait, after 1 MiB', async () => {
  socket.pause()
  const client = new LiveClient(request, response, 0)
  let most = 0
  for (let number = 1; !response.destroyed; number++) {
    client.tell({ id: `a-${number}`, number, json: BIG })
    most = Math.max(most, response.writableLength)
    await turn()
  }
  expect(most).toBeLessThan(1024 * 1024 + 2 * BIG.length)
})
