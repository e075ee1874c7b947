import { expect, test } from 'vitest'
import { submit } from '../../src/cli/commands/submit.ts'
import { memoryLog } from '../../src/log/memory.ts'
import { Desk, Printed } from './desk.ts'

test('a log that others write too asks for --subject, and another takes none', async () => {
  await using desk = new Desk(memoryLog({ messages: true }))
  await desk.log()
  const output = new Printed()
  const without = submit(desk.context(output), 'a', {})
  await expect(without).rejects.toMatchObject({
    name: 'UsageError',
    message: expect.stringContaining('say with --subject where'),
  })
  expect(await submit(desk.context(output), 'a', { subject: 'orders.new' })).toBe(0)
  await using own = new Desk()
  await own.log()
  const subject = submit(own.context(output), 'a', { subject: 'orders.new' })
  await expect(subject).rejects.toMatchObject({
    name: 'UsageError',
    message: expect.stringContaining('no subject'),
  })
  expect(output.lines).toEqual(['submitted (entry 1)'])
})
