import { describe, expect, test } from 'vitest'
import { memoryLog } from '../../src/log/memory.ts'
import type { CommandContext } from '../../src/machine/machine.ts'
import { compose } from '../../src/machines/compose/compose.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { createReplica } from '../../src/replica/start.ts'
import { Cluster } from './cluster.ts'
import { Journal, line } from './journal.ts'

/** A journal that remembers what it was told of each line. */
class Told extends Journal {
  readonly contexts: CommandContext[] = []

  override apply(command: Uint8Array, context?: CommandContext): number {
    if (context !== undefined) this.contexts.push(context)
    return super.apply(command)
  }
}

const messagesOf = ({ contexts }: Told) => contexts.map(({ message }) => message)

describe('a log that is a stream of messages', () => {
  test('has commands by others and by replicas, with their subjects and headers', async () => {
    const log = memoryLog({ messages: true, now: () => 1_000 })
    await using cluster = new Cluster({ log })
    const machine = new Told()
    const { replica } = await cluster.start({ machine }, machine)
    await replica.inSync()
    const index = log.publish(
      { subject: 'orders.new', headers: { by: 'shop', tag: ['a', 'b'] } },
      line('one'),
    )
    await replica.reached({ epoch: replica.position.epoch, index })
    const { position, result } = await replica.submit(line('two'), { subject: 'orders.paid' })
    expect(position.index).toBe(index + 1)
    expect(result).toBe(2)
    expect(messagesOf(machine)).toEqual([
      { subject: 'orders.new', headers: { by: ['shop'], tag: ['a', 'b'] } },
      { subject: 'orders.paid', headers: {} },
    ])
    expect(machine.contexts.map(({ timeMs }) => timeMs)).toEqual([1_000, 1_000])
  })

  test('gives each of many writes its own result, beside those of others', async () => {
    const log = memoryLog({ messages: true })
    await using cluster = new Cluster({ log })
    const [{ replica }, other] = await cluster.startLed(1)
    const writes = Array.from({ length: 50 }, async (_, n) => {
      log.publish({ subject: 'a' }, line('others'))
      const by = n % 2 === 0 ? replica : other!.replica
      return await by.submit(line(`own ${n}`), { subject: 'a', headers: { n: `${n}` } })
    })
    const written = await Promise.all(writes)
    await Promise.all([replica.barrier(), other!.replica.barrier()])
    const { lines } = other!.journal
    for (const [n, { result }] of written.entries()) expect(lines[result! - 1]).toBe(`own ${n}`)
    expect(lines).toHaveLength(100)
  })

  test('wants a subject for each command, and no conditions', async () => {
    await using cluster = new Cluster({ log: memoryLog({ messages: true }) })
    const { replica } = await cluster.start()
    const { position } = replica
    await expect(replica.submit(line('x'))).rejects.toThrow('give the subject')
    for (const options of [{ key: 'k' }, { expect: position }]) {
      await expect(replica.submit(line('x'), { subject: 'a', ...options })).rejects.toThrow(RangeError)
      await expect(replica.submit(line('x'), options)).rejects.toThrow(RangeError)
    }
    await expect(replica.submit(line('x'), { headers: { a: 'b' } })).rejects.toThrow('no subject')
    expect((await replica.submit(line('x'), { subject: 'a' })).result).toBe(1)
  })

  test('tells the parts of a composition, too', async () => {
    const log = memoryLog({ messages: true })
    const part = new Told()
    const state = compose({ lines: part, map: new ReplicatedMap<string, number>() })
    await using replica = await createReplica({ group: 'g', machine: state, log, volatile: true })
    await replica.inSync()
    await state.map.set('a', 1, { subject: 'orders.map' })
    expect(state.map.get('a')).toBe(1)
    // The first part's number, and its command.
    await replica.submit(Buffer.concat([Buffer.of(1), line('one')]), { subject: 'orders.line' })
    expect(messagesOf(part)).toEqual([{ subject: 'orders.line', headers: {} }])
  })
})

test("any other log refuses a subject, and writes nothing; others' messages are for streams of messages", async () => {
  await using cluster = new Cluster()
  const { replica } = await cluster.start()
  await replica.inSync()
  await expect(replica.submit(line('x'), { subject: 'a' })).rejects.toThrow('give no subject')
  expect((await replica.submit(line('y'))).result).toBe(1)
  expect(() => cluster.log.publish({ subject: 'a' }, line('z'))).toThrow(RangeError)
})

test('a log whose owner prunes it is not pruned by a replica', async () => {
  const log = memoryLog()
  const backend: typeof log = Object.assign(Object.create(log), {
    open: async (init: Parameters<typeof log.open>[0]) =>
      Object.defineProperty(await log.open(init), 'prunes', { value: false }),
  })
  await using cluster = new Cluster({ log: backend })
  const [{ replica }] = await cluster.startLed(0)
  await expect(replica.prune({ keepEntries: 0 })).rejects.toMatchObject({ name: 'PruneRefused' })
  await expect(cluster.start({ prune: { keepEntries: 5 } })).rejects.toThrow('its owner decides')
})
