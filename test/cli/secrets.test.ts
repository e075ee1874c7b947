import { readdir, readFile, stat } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Place } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

/** Everything that libp2p and a Node that debugs say, too. */
const TALKATIVE = { DEBUG: '*', ANCHORAGE_DEBUG: '1' }

test('keys are readable by their owner only, and in nothing that is printed or written elsewhere', async () => {
  const made = await place.run(['network-key', 'network.key'])
  expect(made.code).toBe(0)
  const again = await place.run(['network-key', 'network.key'])
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('is there already')])

  const shared = ['--network-key', 'network.key', '--json']
  const node = place.spawn(['node', '--data', 'data', '--lease-ms', '1000', ...shared], { env: TALKATIVE })
  const said = Promise.all([text(node.stdout!), text(node.stderr!)])
  await new Promise<void>((resolve) => {
    let seen = ''
    node.stdout!.on('data', (chunk) => {
      seen += chunk
      if (seen.includes('"in-sync"')) resolve()
    })
  })
  expect((await place.run(['set', 'city', '"Bern"'])).code).toBe(0)
  expect((await place.run(['get', 'city', ...shared.slice(0, 2)])).stdout).toBe('"Bern"\n')
  node.kill('SIGINT')
  const output = [made.stdout, ...(await said)].join('\n')

  const networkKey = (await readFile(place.path('network.key'), 'latin1')).trim().split('\n').at(-1)!
  const identity = await readFile(place.path('data/identity.key'))
  // A protobuf of the type and the 64 bytes of Ed25519: the seed, then the public key, which anybody may know.
  const seed = identity.subarray(-64, -32)
  const secrets = [Buffer.from(networkKey, 'hex'), seed]
  expect(secrets.map(({ length }) => length)).toEqual([32, 32])
  for (const file of ['network.key', 'data/identity.key']) {
    expect((await stat(place.path(file))).mode & 0o777).toBe(0o600)
  }

  const elsewhere = (await readdir(place.dir)).filter((name) => name.startsWith('anchorage.db'))
  expect(elsewhere).not.toEqual([])
  const written = await Promise.all(elsewhere.map((name) => readFile(place.path(name))))
  for (const secret of secrets) {
    for (const encoding of ['hex', 'base64', 'base64url', 'latin1'] as const) {
      expect(output.includes(secret.toString(encoding))).toBe(false)
    }
    for (const bytes of written) expect(bytes.includes(secret)).toBe(false)
  }
  expect(output).toContain('libp2p:')
})
