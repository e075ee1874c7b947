import { beforeEach, expect, test } from 'vitest'
import { Namesakes, type OwnPresence } from '../../src/group/namesakes.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const LEASE_MS = 1_000
const SELF = 'm'

let clock: VirtualClock
let told: string[]
let namesakes: Namesakes
let version: number

beforeEach(() => {
  clock = new VirtualClock()
  told = []
  version = 0
  namesakes = new Namesakes({
    process: SELF,
    clock,
    leaseMs: LEASE_MS,
  })
})

function saw(notice: OwnPresence): void {
  const change = namesakes.saw(notice)
  if (change !== undefined) told.push(change)
}

/** The presence store holds what a process wrote just now. */
function see(process: string, fields: Partial<OwnPresence> = {}): OwnPresence {
  const notice: OwnPresence = { process, version: ++version, state: 'in-sync', isFresh: true, ...fields }
  saw(notice)
  return notice
}

test('a process alone gets no report', () => {
  namesakes.announcing()
  for (let n = 0; n < 5; n++) see(SELF)
  expect([told, namesakes.isContested, namesakes.mayBeAnother]).toEqual([[], false, false])
})

test('the presence of an earlier life is no other process, even if it is read often', () => {
  const left = see('earlier')
  expect(namesakes.mayBeAnother).toBe(true)
  namesakes.announcing()
  for (let n = 0; n < 3; n++) saw(left)
  see(SELF)
  saw(left)
  expect([told, namesakes.isContested]).toEqual([[], false])
})

test.each<[what: string, fields: Partial<OwnPresence>]>([
  ['said that it stops', { state: 'stopped' }],
  ['is long over', { isFresh: false }],
])('a process that %s is not waited for', (_what, fields) => {
  see('earlier', fields)
  expect(namesakes.mayBeAnother).toBe(false)
})

test('the farewell of an earlier life is no other process', () => {
  see('earlier')
  namesakes.announcing()
  see('earlier', { state: 'stopped' })
  expect(told).toEqual([])
})

test('a presence of a version that does not name its process says nothing', () => {
  namesakes.announcing()
  see('')
  expect(told).toEqual([])
})

test('a process steps back for good if the one before it still announces itself', () => {
  see('elder')
  namesakes.announcing()
  see('elder')
  see('elder')
  expect([told, namesakes.hasYielded]).toEqual([['yield'], true])
})

test('the first process goes on, reports each newcomer once, and announces that for a while', () => {
  namesakes.announcing()
  see(SELF)
  see('newcomer')
  see('newcomer')
  see('another')
  expect([told, namesakes.hasYielded, namesakes.isContested]).toEqual([['found', 'found'], false, true])
  clock.advance(60_000)
  expect(namesakes.isContested).toBe(false)
})

test.each<[other: string, yields: boolean]>([
  ['a', false],
  ['z', true],
])('if neither process was first, one steps back after a lease: against %s %s', (other, yields) => {
  namesakes.announcing()
  see(other)
  clock.advance(LEASE_MS)
  see(other)
  expect(told).toEqual(['found'])
  clock.advance(1)
  see(other)
  expect(namesakes.hasYielded).toBe(yields)
})
