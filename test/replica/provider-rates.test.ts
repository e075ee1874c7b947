import { expect, test } from 'vitest'
import { ProviderRates } from '../../src/replica/membership/provider-rates.ts'

/** Samples every 250 ms; each peer has sent so many bytes in all by then. */
function ratesOf(...received: Record<string, number>[]): ProviderRates {
  const rates = new ProviderRates()
  for (const [n, all] of received.entries()) rates.sample(1_000 + n * 250, new Map(Object.entries(all)))
  return rates
}

test('the rate of each peer is what came within the time', () => {
  const rates = ratesOf({ a: 100 }, { a: 600, b: 50 }, { a: 1_100, b: 100 })
  expect([rates.of('a'), rates.of('b'), rates.of('c')]).toEqual([2_000, 200, 0])
})

test('nothing is measured by one sample, or by none', () => {
  expect([ratesOf().of('a'), ratesOf({ a: 5 }).of('a')]).toEqual([0, 0])
})

test('what came longer ago than a second and a half counts no more', () => {
  const still = Array.from({ length: 6 }, () => ({ a: 9_000 }))
  expect(ratesOf({ a: 0 }, { a: 9_000 }, ...still.slice(1)).of('a')).toBe(6_000)
  expect(ratesOf({ a: 0 }, { a: 9_000 }, ...still).of('a')).toBe(0)
})

test('samples that are far apart are averaged over what lies between', () => {
  const rates = new ProviderRates()
  rates.sample(0, new Map([['a', 0]]))
  rates.sample(10_000, new Map([['a', 50_000]]))
  expect(rates.of('a')).toBe(5_000)
})

test('where the session is over nobody sends', () => {
  expect(ratesOf({ a: 100 }, {}).of('a')).toBe(0)
})
