import { expect, test } from 'vitest'
import { Scrapes } from '../../src/observe/scrapes.ts'

/** Collects when it is told to. */
class Registry {
  readonly contentType = 'text/plain'
  readonly collecting: PromiseWithResolvers<string>[] = []

  metrics(): Promise<string> {
    const collected = Promise.withResolvers<string>()
    this.collecting.push(collected)
    return collected.promise
  }
}

test('those who ask at once share one collection, and those within 100 ms its text', async () => {
  const registry = new Registry()
  let nowMs = 0
  const scrapes = new Scrapes(registry, () => nowMs)
  const first = [scrapes.text(), scrapes.text()]
  // It takes as long as it does.
  nowMs = 5_000
  first.push(scrapes.text())
  expect(registry.collecting).toHaveLength(1)
  registry.collecting[0]!.resolve('1')
  expect(await Promise.all(first)).toEqual(['1', '1', '1'])
  nowMs = 5_099
  expect(await scrapes.text()).toBe('1')
  nowMs = 5_100
  const second = scrapes.text()
  expect(registry.collecting).toHaveLength(2)
  registry.collecting[1]!.resolve('2')
  expect(await second).toBe('2')
})

test('a collection that fails is told to those who wait for it, and to nobody else', async () => {
  const registry = new Registry()
  const scrapes = new Scrapes(registry, () => 0)
  const failed = [scrapes.text(), scrapes.text()]
  registry.collecting[0]!.reject(new Error('no'))
  for (const one of failed) await expect(one).rejects.toThrow('no')
  const next = scrapes.text()
  registry.collecting[1]!.resolve('well')
  expect(await next).toBe('well')
})
