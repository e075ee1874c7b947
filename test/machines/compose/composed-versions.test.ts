import fc from 'fast-check'
import { expect, test } from 'vitest'
import { SIGNATURE_BYTES_MAX } from '../../../src/bounds.ts'
import { Items } from '../../../src/machine/items.ts'
import {
  type CommandContext,
  type Installation,
  MalformedCommand,
  type Snapshot,
  type StateMachine,
} from '../../../src/machine/machine.ts'
import { compose } from '../../../src/machines/compose/compose.ts'
import { ComposedVersions } from '../../../src/machines/compose/composed-versions.ts'
import { install, itemsNow } from './attached-composition.ts'

/** A machine of several versions, which keeps what it is called with. */
class Versioned implements StateMachine<string> {
  readonly signature: string
  readonly older: readonly string[]
  readonly upgrades: (readonly [from: string, to: string])[] = []
  lines: string[] = []

  /** @param versions the newest first */
  constructor(...[newest, ...older]: readonly [string, ...string[]]) {
    this.signature = newest
    this.older = older
  }

  apply(command: Uint8Array, { signature }: CommandContext): string {
    if (command.length === 0) throw new MalformedCommand('there is no line')
    const said = `${signature}: ${Buffer.from(command)}`
    this.lines.push(said)
    return said
  }

  upgrade(from: string, to: string): void {
    this.upgrades.push([from, to])
    this.lines = this.lines.map((text) => text.replace(from, to))
  }

  capture(signature: string): Snapshot {
    const items = [`items of ${signature}`, ...this.lines].map((text) => Buffer.from(text))
    return { size: items.length, items: () => items, release() {} }
  }

  install(signature: string): Installation {
    const lines: string[] = []
    return {
      add: (items) => {
        for (const item of items) lines.push(Buffer.from(item).toString())
      },
      commit: () => {
        expect(lines.shift()).toBe(`items of ${signature}`)
        this.lines = lines
      },
    }
  }
}

const versions = (name: string, count: number) =>
  Array.from({ length: count }, (_, age) => `${name}/${count - age}`) as [string, ...string[]]
const newState = (users = 2, jobs = 2) =>
  compose({ users: new Versioned(...versions('u', users)), jobs: new Versioned(...versions('j', jobs)) })
const signed = (users: string, jobs: string) =>
  `compose/1;jobs:${jobs.length}:${jobs};users:${users.length}:${users}`
const position = { epoch: 'test', index: 1 }
const JOBS = 1
const USERS = 2
const command = (part: number, text: string) => Uint8Array.of(part, ...Buffer.from(text))

test('a composition of machines of one version has one itself', () => {
  const state = newState(1, 1)
  expect([state.signature, state.older]).toEqual([signed('u/1', 'j/1'), undefined])
})

test('it speaks each combination of what its parts speak, the newest first', () => {
  const state = newState(2, 3)
  expect([state.signature, ...state.older!]).toEqual([
    signed('u/2', 'j/3'),
    signed('u/2', 'j/2'),
    signed('u/1', 'j/3'),
    signed('u/1', 'j/2'),
    signed('u/2', 'j/1'),
    signed('u/1', 'j/1'),
  ])
})

test('its older versions are those of a program whose parts were older', () => {
  expect(newState(3, 2).older).toContain(newState(2, 2).signature)
  expect(newState(3, 2).older).toContain(newState(2, 1).signature)
  expect(newState(2, 2).older).not.toContain(newState(3, 2).signature)
})

test('each part applies, captures and installs in its own version', () => {
  const state = newState()
  const old = signed('u/1', 'j/2')
  const context = { position, timeMs: 0, signature: old }
  expect(state.apply(command(USERS, 'ada'), context)).toBe('u/1: ada')
  expect(state.apply(command(JOBS, 'dig'), context)).toBe('j/2: dig')
  const several = Uint8Array.of(0, 4, ...command(USERS, 'bob'), 4, ...command(JOBS, 'cut'))
  // Neither can undo a command: so several as one are refused, in whatever version.
  expect(state.apply(several, context)).toMatchObject({ name: 'BatchRefused' })
  const snapshot = state.capture(old)
  const items = Array.from(snapshot.items(), (item) => Buffer.from(item).toString())
  expect(items.slice(1)).toEqual(['items of j/2', 'j/2: dig', 'items of u/1', 'u/1: ada'])
  const joiner = newState()
  const installation = joiner.install(old)
  installation.add(Items.of(...Array.from(state.capture(old).items(), (item) => new Uint8Array(item))))
  installation.commit()
  expect([joiner.users.lines, joiner.jobs.lines]).toEqual([['u/1: ada'], ['j/2: dig']])
})

test('a version that it does not speak is refused', () => {
  const state = newState()
  const unknown = signed('u/3', 'j/2')
  expect(() => state.capture(unknown)).toThrow(RangeError)
  expect(() => state.install(unknown)).toThrow(RangeError)
  expect(() => state.upgrade(unknown, state.signature)).toThrow(RangeError)
})

test('the parts whose version changes are upgraded, and no others', () => {
  const state = newState()
  const from = signed('u/1', 'j/2')
  state.apply(command(USERS, 'ada'), { position, timeMs: 0, signature: from })
  state.upgrade(from, state.signature)
  expect([state.users.upgrades, state.jobs.upgrades]).toEqual([[['u/1', 'u/2']], []])
  expect(state.users.lines).toEqual(['u/2: ada'])
  const joiner = newState()
  install(joiner, itemsNow(state))
  expect(joiner.users.lines).toEqual(['u/2: ada'])
})

test('a composition in a composition is upgraded with it', () => {
  const nested = () => compose({ inner: newState(2, 1), tail: new Versioned('t/1') })
  const before = compose({ inner: newState(1, 1), tail: new Versioned('t/1') })
  const state = nested()
  expect(state.older).toEqual([before.signature])
  state.upgrade(before.signature, state.signature)
  expect(state.inner.users.upgrades).toEqual([['u/1', 'u/2']])
  expect(state.inner.jobs.upgrades).toEqual([])
})

test('versions whose signature is too long, so that a hash stands for it, are spoken as well', () => {
  const long = 'x'.repeat(SIGNATURE_BYTES_MAX / 2)
  const parts = (...ages: readonly [string, ...string[]]) =>
    compose({ a: new Versioned(...ages), b: new Versioned(`${long}b`) })
  const state = parts(`${long}2`, `${long}1`)
  expect(state.older).toEqual([parts(`${long}1`).signature])
  expect(state.older![0]).toMatch(/^compose\/1;sha256=/)
  state.upgrade(state.older![0]!, state.signature)
  expect(state.a.upgrades).toEqual([[`${long}1`, `${long}2`]])
})

test('at most 16 older ones are spoken: those in which all parts are equally old, and the newest others', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1, maxLength: 12 }), (counts) => {
      const parts = counts.map((count, i) => ({
        name: `p${i}`,
        machine: new Versioned(...versions('v', count)),
      }))
      const spoken = new ComposedVersions(parts)
      const all = [spoken.newest, ...(spoken.older ?? [])]
      const product = counts.reduce((sum, count) => sum * count, 1)
      expect(all.length).toBe(Math.min(17, product))
      expect(new Set(all).size).toBe(all.length)
      const ages = all.map((each) =>
        spoken.ofParts(each).map((signature, i) => counts[i]! - Number(signature.slice('v/'.length))),
      )
      const totals = ages.map((each) => each.reduce((sum, age) => sum + age, 0))
      expect(totals).toEqual(totals.toSorted((a, b) => a - b))
      expect(totals[0]).toBe(0)
      for (let age = 0; age < Math.max(...counts); age++)
        expect(ages).toContainEqual(counts.map((count) => Math.min(age, count - 1)))
    }),
  )
})
