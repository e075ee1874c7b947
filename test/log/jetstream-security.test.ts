import { createHash, randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { credsAuthenticator, nkeyAuthenticator, nkeys } from '@nats-io/transport-node'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { LogRefused } from '../../src/log/errors.ts'
import { type JetstreamLogOptions, jetstreamLog } from '../../src/log/jetstream.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { certificate } from './certificate.ts'
import { commands, init, readAll, text } from './entries.ts'
import { describeNats } from './nats.ts'

describeNats('who may use a log', () => {
  let nats: NatsServers
  let dir: string

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'anchorage-nats-'))
  })
  afterEach(async () => {
    await nats?.stop()
    rmSync(dir, { recursive: true })
  })

  async function use(options: Partial<JetstreamLogOptions>, group: string = randomUUID()): Promise<string[]> {
    const backend = jetstreamLog({ servers: nats.urls, ...options })
    const log = await backend.open(init({ group }))
    try {
      await log.append(commands('pruned', 'let in'))
      await log.prune(1)
      await log.noteUpgrade('map/2', 2)
      await log.notices.announce('alice', new Uint8Array(1), 1_000)
      expect((await log.notices.read()).length).toBe(1)
      await log.notices.withdraw('alice')
      return (await readAll(log, { index: 1 })).map(text)
    } finally {
      await log.close()
    }
  }

  const url = (credentials: string) => nats.urls[0]!.replace('//', `//${credentials}@`)

  test('a user with a password, beside the servers or in their URL', async () => {
    nats = await startNatsServers({ config: 'authorization { user: ann, password: "p@ss" }' })
    expect(await use({ connection: { user: 'ann', pass: 'p@ss' } })).toEqual(['let in'])
    expect(await use({ servers: url('ann:p%40ss') })).toEqual(['let in'])
    const failure = await use({ servers: url('ann:hunter2') }).catch((error: Error) => error)
    expect(failure).toBeInstanceOf(LogRefused)
    expect(String(failure)).not.toContain('hunter2')
    await expect(use({})).rejects.toThrow(LogRefused)
  })

  test('a user with the token', async () => {
    nats = await startNatsServers({ config: 'authorization { token: sesame }' })
    expect(await use({ servers: url('sesame') })).toEqual(['let in'])
    await expect(use({ connection: { token: 'simsim' } })).rejects.toThrow(LogRefused)
  })

  test('a user with the seed of an NKey', async () => {
    const [user, other] = [nkeys.createUser(), nkeys.createUser()]
    nats = await startNatsServers({ config: `authorization { users: [{ nkey: ${user.getPublicKey()} }] }` })
    expect(await use({ connection: { authenticator: nkeyAuthenticator(user.getSeed()) } })).toEqual([
      'let in',
    ])
    const stranger = { authenticator: nkeyAuthenticator(other.getSeed()) }
    await expect(use({ connection: stranger })).rejects.toThrow(LogRefused)
  })

  test('a user with a credentials file', async () => {
    const [operator, account, user] = [nkeys.createOperator(), nkeys.createAccount(), nkeys.createUser()]
    const limits = { subs: -1, conn: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true }
    const storage = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 }
    const operatorJwt = jwt(operator, operator, { type: 'operator' })
    const accountJwt = jwt(operator, account, {
      type: 'account',
      limits: { ...limits, ...storage, leaf: -1 },
    })
    const system = nkeys.createAccount()
    const systemJwt = jwt(operator, system, { type: 'account', limits: { ...limits, leaf: -1 } })
    const userJwt = jwt(account, user, { type: 'user', subs: -1, data: -1, payload: -1 })
    nats = await startNatsServers({
      config: [
        `operator: ${operatorJwt}`,
        'resolver: MEMORY',
        `system_account: ${system.getPublicKey()}`,
        `resolver_preload { ${account.getPublicKey()}: ${accountJwt}, ${system.getPublicKey()}: ${systemJwt} }`,
      ].join('\n'),
    })
    const creds = [
      `-----BEGIN NATS USER JWT-----\n${userJwt}\n------END NATS USER JWT------\n`,
      `-----BEGIN USER NKEY SEED-----\n${new TextDecoder().decode(user.getSeed())}\n------END USER NKEY SEED------\n`,
    ].join('\n')
    const authenticator = credsAuthenticator(new TextEncoder().encode(creds))
    expect(await use({ connection: { authenticator } })).toEqual(['let in'])
    await expect(use({})).rejects.toThrow(LogRefused)
  })

  test('a user needs no more than the permissions that docs/backends/jetstream.md lists', async () => {
    const listed = readFileSync(new URL('../../docs/backends/jetstream.md', import.meta.url), 'utf8')
    const [, permissions] = /```\n(permissions = [^`]*)```/.exec(listed)!
    const user = `{ user: ann, password: p, ${permissions!.replace(' =', ':')} }`
    nats = await startNatsServers({ config: `authorization { users: [${user}] }` })
    const options = { servers: url('ann:p') }
    expect(await use(options, 'app')).toEqual(['let in'])

    await nats.stop()
    const mayNotRead = permissions!
      .replace('"$JS.API.CONSUMER.MSG.NEXT.anchorage-app.>", ', '')
      .replace(' =', ':')
    nats = await startNatsServers({
      config: `authorization { users: [{ user: ann, password: p, ${mayNotRead} }] }`,
    })
    await expect(use({ servers: url('ann:p') }, 'app')).rejects.toThrow(/MSG.NEXT/)

    const mayNotNote = permissions!.replace('"$JS.API.STREAM.UPDATE.anchorage-app", ', '').replace(' =', ':')
    await nats.stop()
    nats = await startNatsServers({
      config: `authorization { users: [{ user: ann, password: p, ${mayNotNote} }] }`,
    })
    await expect(use({ servers: url('ann:p') }, 'app')).rejects.toThrow(
      /refuse: .*STREAM.UPDATE.anchorage-app/,
    )

    const mayNotWrite = permissions!.replace('"anchorage.anchorage-app.*", ', '').replace(' =', ':')
    await nats.stop()
    nats = await startNatsServers({
      config: `authorization { users: [{ user: ann, password: p, ${mayNotWrite} }] }`,
    })
    await expect(use({ servers: url('ann:p') }, 'app')).rejects.toThrow(LogRefused)
    await expect(use({ servers: url('ann:p') }, 'another group')).rejects.toThrow(LogRefused)
  })

  test('servers show a certificate, and may ask for one', async () => {
    const ca = certificate(dir, 'ca')
    const [server, client] = [certificate(dir, 'server', ca), certificate(dir, 'client', ca)]
    nats = await startNatsServers({
      config: `tls { cert_file: "${server.cert}", key_file: "${server.key}", ca_file: "${ca.cert}", verify: true }`,
    })
    const tls = { caFile: ca.cert, certFile: client.cert, keyFile: client.key }
    expect(await use({ connection: { tls } })).toEqual(['let in'])
    const stranger = certificate(dir, 'stranger')
    const untrusting = { tls: { caFile: stranger.cert, certFile: client.cert, keyFile: client.key } }
    await expect(use({ connection: untrusting })).rejects.toThrow(LogRefused)
  })
})

type KeyPair = ReturnType<typeof nkeys.createUser>

/** A JSON web token as NATS wants it. */
function jwt(issuer: KeyPair, subject: KeyPair, claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const body = {
    jti: createHash('sha256').update(randomUUID()).digest('hex'),
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    name: 'test',
    sub: subject.getPublicKey(),
    nats: { version: 2, ...claims },
  }
  const unsigned = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode(body)}`
  return `${unsigned}.${Buffer.from(issuer.sign(Buffer.from(unsigned))).toString('base64url')}`
}
