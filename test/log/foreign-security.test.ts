import { readFileSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import { LogRefused } from '../../src/log/errors.ts'
import { type JetstreamLogOptions, jetstreamLog } from '../../src/log/jetstream.ts'
import type { Log } from '../../src/log/log.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { init, readAll, text } from './entries.ts'
import { Others } from './foreign-place.ts'
import { CONTROL, order } from './foreign-scene.ts'
import { describeNats } from './nats.ts'

describeNats('who may follow a stream of others', () => {
  let nats: NatsServers | undefined

  afterEach(async () => {
    await nats?.stop()
  })

  /** The permissions that docs/backends/stream-of-others.md lists for a replica that reads. */
  function listed(): string {
    const page = readFileSync(new URL('../../docs/backends/stream-of-others.md', import.meta.url), 'utf8')
    const blocks = [...page.matchAll(/```\n(permissions = [^`]*)```/g)].map(([, block]) => block!)
    const permissions = blocks.find((block) => block.includes(CONTROL))
    return permissions!.replace(' =', ':')
  }

  test('needs no more than the permissions that docs/backends/stream-of-others.md lists, and writes nothing else', async () => {
    const reader = `{ user: reader, password: p, ${listed()} }`
    nats = await startNatsServers({
      config: `authorization { users: [{ user: owner, password: p }, ${reader}] }`,
    })
    const at = (user: string) => nats!.urls[0]!.replace('//', `//${user}:p@`)
    await using others = await Others.at(nats, { user: 'owner', pass: 'p' })
    await others.jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] })
    await others.publish({ subject: 'orders.new' }, '1')

    const log = await jetstreamLog({ servers: at('reader'), stream: 'ORDERS', control: CONTROL }).open(init())
    try {
      await useAll(log)
      await expect(log.append([order('3')])).rejects.toThrow(LogRefused)
      expect((await log.bounds()).newest.index).toBe(2)
      await log.append([{ kind: 'control', payload: Buffer.from('3') }])
    } finally {
      await log.close()
    }
  })

  test('needs each of them', async () => {
    const needless: string[] = []
    for (const [permission] of listed().matchAll(/"[^"]+"(?=[,\s]*(?:"|\]))/g)) {
      const less = listed().replace(permission, '"nothing"')
      nats = await startNatsServers({
        config: `authorization { users: [{ user: owner, password: p }, { user: reader, password: p, ${less} }] }`,
      })
      {
        await using others = await Others.at(nats, { user: 'owner', pass: 'p' })
        await others.jsm.streams.add({ name: 'ORDERS', subjects: ['orders.>'] })
        await others.publish({ subject: 'orders.new' }, '1')
        const servers = nats.urls[0]!.replace('//', '//reader:p@')
        if (await works({ servers, stream: 'ORDERS', control: CONTROL })) needless.push(permission)
      }
      await nats.stop()
    }
    expect(needless).toEqual([])
  })

  test.each([
    ['purge', 'prune', '$JS.API.STREAM.PURGE.ORDERS'],
    ['change', 'addControlSubject', '$JS.API.STREAM.UPDATE.ORDERS'],
  ] as const)('may not %s the stream without permission', async (_, option, permission) => {
    for (const may of [false, true]) {
      await nats?.stop()
      const more = may ? listed().replace(`"${CONTROL}"`, `"${CONTROL}", "${permission}"`) : listed()
      nats = await startNatsServers({
        config: `authorization { users: [{ user: owner, password: p }, { user: reader, password: p, ${more} }] }`,
      })
      await using others = await Others.at(nats, { user: 'owner', pass: 'p' })
      const subjects = option === 'prune' ? ['orders.>'] : ['orders.new']
      await others.jsm.streams.add({ name: 'ORDERS', subjects })
      await others.publish({ subject: 'orders.new' }, '1')
      const servers = nats.urls[0]!.replace('//', '//reader:p@')
      const use = async () => {
        const log = await jetstreamLog({ servers, stream: 'ORDERS', control: CONTROL, [option]: true }).open(
          init(),
        )
        try {
          if (option === 'prune') await log.prune(1)
        } finally {
          await log.close()
        }
      }
      if (may) await use()
      else await expect(use()).rejects.toThrow(permission)
    }
  })
})

/** All that a replica does which reads, and submits nothing. */
async function useAll(log: Log): Promise<void> {
  await log.append([{ kind: 'control', payload: Buffer.from('2') }])
  expect((await readAll(log)).map(text)).toEqual(['1', '2'])
  const [, second] = await readAll(log)
  expect(await readAll(log, second)).toEqual([])
  await log.noteUpgrade('map/2', 1)
  await log.notices.announce('alice', new Uint8Array(1), 1_000)
  expect(await log.notices.read()).toHaveLength(1)
  await log.notices.withdraw('alice')
}

async function works(options: JetstreamLogOptions): Promise<boolean> {
  let log: Log | undefined
  try {
    log = await jetstreamLog(options).open(init())
    await useAll(log)
    return true
  } catch (error) {
    expect(error).toBeInstanceOf(LogRefused)
    return false
  } finally {
    await log?.close()
  }
}
