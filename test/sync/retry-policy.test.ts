import { expect, test } from 'vitest'
import { PeerUnavailable } from '../../src/sync/errors.ts'
import { retryPolicy } from '../../src/sync/fetching/retry-policy.ts'
import { Busy, Malformed, NotLeader, type WireError } from '../../src/sync/wire/errors.ts'
import { PLAIN_ERRORS } from '../../src/sync/wire/messages.ts'
import { ProvenFault } from '../../src/sync/wire/proven-fault.ts'

const ANSWERS: WireError[] = [
  ...Object.values(PLAIN_ERRORS).map((Kind) => new Kind('x')),
  new Busy('x', 250),
  new NotLeader(undefined),
]

function namesOf(fits: (error: Error) => boolean): string[] {
  return ANSWERS.filter(fits)
    .map(({ name }) => name)
    .sort()
}

test('some answers end what a provider is good for', () => {
  expect(namesOf((error) => !retryPolicy(error).retry)).toEqual([
    'CutFailed',
    'Expired',
    'Incompatible',
    'Malformed',
    'UnknownAnchor',
  ])
})

test('an honest replica may be busy, and an offer may have expired or be of another', () => {
  expect(namesOf((error) => !retryPolicy(error).fault)).toEqual(['Busy', 'Expired', 'UnknownAnchor'])
})

test('some answers say that the peer will serve nothing', () => {
  expect(namesOf((error) => retryPolicy(error).refusal)).toEqual(['CutFailed', 'Incompatible'])
})

test('what a peer says of us is no proof against it, and what it sends is', () => {
  expect(retryPolicy(new Malformed('x')).refusal).toBe(false)
  expect(retryPolicy(new ProvenFault('x'))).toEqual({ retry: false, fault: true, refusal: true })
})

test('a peer that does not answer, or whose chunk does not fit, is asked again', () => {
  const again = { retry: true, fault: true, refusal: false }
  expect(retryPolicy(new PeerUnavailable('x'))).toEqual(again)
  expect(retryPolicy(new Error('x'))).toEqual(again)
})
