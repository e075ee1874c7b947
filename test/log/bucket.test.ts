import type { KV, Kvm } from '@nats-io/kv'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { LogRefused } from '../../src/log/errors.ts'
import { openBucket } from '../../src/log/jetstream/bucket.ts'
import { Link } from '../../src/log/jetstream/link.ts'
import { type NatsServers, startNatsServers } from '../../src/processes/nats-servers.ts'
import { describeNats } from './nats.ts'

const BUCKETS = 30
const MAKERS = 2
const VISITORS = 4
const VISITS_MAX = 1_000

describeNats('a bucket', () => {
  let nats: NatsServers

  beforeAll(async () => {
    nats = await startNatsServers()
  })
  afterAll(async () => {
    await nats?.stop()
  })

  async function links(count: number): Promise<AsyncDisposableStack & { readonly links: readonly Link[] }> {
    const stack = new AsyncDisposableStack()
    const opened = Array.from({ length: count }, async () => {
      return stack.adopt(await Link.open({ servers: nats.urls }), (link) => link.close())
    })
    return Object.assign(stack, { links: await Promise.all(opened) })
  }

  /** Asks for a key again and again until there is a bucket. A server of 2.9 that has not finished it would end here. */
  async function visit(link: Link, name: string): Promise<KV> {
    for (let visits = 1; ; visits++) {
      try {
        const kv = await openBucket(link, name, open(name))
        expect(await kv.get('none')).toBeNull()
        return kv
      } catch (error) {
        if (visits === VISITS_MAX || !String(error).includes('stream not found')) throw error
      }
    }
  }

  const open = (name: string) => (kvm: Kvm) => kvm.open(name, { allow_direct: false })
  const made = (name: string) => (kvm: Kvm) => kvm.create(name, { allow_direct: false, history: 1 })

  test('is made by several at once, and answers everybody who has opened it', async () => {
    await using all = await links(MAKERS + VISITORS)
    for (let n = 0; n < BUCKETS; n++) {
      const name = `bucket-${n}`
      const opened = await Promise.all(
        all.links.map(async (link, n) => {
          const kv = n < MAKERS ? await openBucket(link, name, made(name)) : await visit(link, name)
          return [link, kv] as const
        }),
      )
      await opened[0]![1].put('some', 'x')
      for (const [link, kv] of opened) expect((await link.ask(() => kv.get('some')))!.string()).toBe('x')
    }
  })

  test('whose subjects another stream has is refused', async () => {
    await using all = await links(1)
    const [link] = all.links
    await link!.jsm.streams.add({ name: 'OTHER', subjects: ['$KV.taken.>'] })
    const refused = await openBucket(link!, 'taken', made('taken')).catch((error) => error)
    expect(refused).toBeInstanceOf(LogRefused)
    expect(refused.message).toContain('subjects overlap')
  })
})
