import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { OrderSums } from '../../../docs/examples/orders.ts'
import { memoryLog } from '../../../src/log/memory.ts'

const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

test('the example sums up paid orders and serves them over HTTP', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'orders-'))
  const log = memoryLog({ messages: true })
  const orders = new OrderSums()
  {
    await using running = await orders.start(log, dir, 0)
    const get = async (name: string): Promise<{ cents: number | null }> =>
      (await (
        await fetch(`http://127.0.0.1:${orders.port}/${encodeURIComponent(name)}`)
      ).json()) as Promise<never>
    for (const [subject, customer] of [
      ['orders.paid', 'ada'],
      ['orders.placed', 'ada'],
      ['orders.paid', 'bob/2'],
      ['orders.paid', 'ada'],
    ] as const) {
      log.publish({ subject }, bytes({ customer, cents: 5 }))
    }
    for (const order of ['none', { customer: 'ada' }, { customer: 'ada', cents: '5' }, { cents: 5 }])
      log.publish({ subject: 'orders.paid' }, bytes(order))
    await running.replica.barrier()
    expect((await fetch(`http://127.0.0.1:${orders.port}/%`)).status).toBe(400)
    expect([await get('ada'), await get('bob/2'), await get('cy')].map(({ cents }) => cents)).toEqual([
      10,
      5,
      null,
    ])
    log.publish({ subject: 'orders.forgotten' }, bytes({ customer: 'ada' }))
    await running.replica.barrier()
    expect(await get('ada')).toEqual({ customer: 'ada', cents: null })
  }
  await rm(dir, { recursive: true })
})
