import { describe, expect, test } from 'vitest'
import { namesServers, parseServers } from '../../../src/log/jetstream/servers.ts'

describe('parseServers', () => {
  test.each([
    ['nats://n1', { servers: ['n1'] }],
    ['n1:4222', { servers: ['n1:4222'] }],
    ['nats://n1:4222,nats://n2:4223', { servers: ['n1:4222', 'n2:4223'] }],
    ['nats://n1:4222, n2', { servers: ['n1:4222', 'n2'] }],
    ['nats://[::1]:4222/', { servers: ['[::1]:4222'] }],
    ['nats://ann:p%40ss@n1:4222,n2', { servers: ['n1:4222', 'n2'], user: 'ann', pass: 'p@ss' }],
    ['nats://secret@n1', { servers: ['n1'], token: 'secret' }],
    ['tls://n1', { servers: ['n1'], tls: {} }],
  ])('reads %s', (text, options) => {
    expect(parseServers(text)).toEqual(options)
    expect(parseServers(text.split(','))).toEqual(options)
  })

  test.each([
    '',
    'nats://',
    'http://n1',
    'nats://n1/path',
    'nats://n1?x=1',
    'nats://ann:pass@',
    'n1,,n2',
    'nats://n1#x',
    'nats://ann:100%@n1',
  ])('refuses %j', (text) => expect(() => parseServers(text)).toThrow(RangeError))

  test('does not repeat a password', () => {
    for (const text of [
      'http://ann:hunter2@n1',
      'ann:hunter2@n1:port',
      'nats://hunter2@n1/x',
      'ann:hunter2%@n1',
    ]) {
      expect(() => parseServers(text)).toThrow(/^(?!.*hunter2)/)
    }
  })
})

test('a path is no server', () => {
  expect(['nats://n1', 'tls://n1:1'].every(namesServers)).toBe(true)
  expect(['./nats', '/nats://x', 'nats', 'C:\\log.db', 'sqlite://x'].some(namesServers)).toBe(false)
})
