import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { decodeGroupState } from '../../src/group/carried-state.ts'
import { type Control, encodeControl } from '../../src/group/control.ts'
import { GroupState } from '../../src/group/group-state.ts'
import { RECENT_WRITES_MAX } from '../../src/group/recent-writes.ts'
import { Versions } from '../../src/group/versions.ts'
import type { LogEntry } from '../../src/log/log.ts'
import { Refusal } from '../../src/machine/errors.ts'
import { MalformedCommand, type StateMachine } from '../../src/machine/machine.ts'
import { Applier } from '../../src/replica/following/applier.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const hasPython = spawnSync('python3', ['--version']).status === 0 || process.env.REQUIRE_PYTHON === '1'
if (!hasPython) console.warn('SKIPPED, because python3 is not installed: the second group state, test/reader')

class Refused extends Refusal {
  override readonly name = 'Refused'
}

/** It refuses a command that begins with 1, and cannot read one that begins with 2. */
const machine: StateMachine = {
  signature: 'm/2',
  older: ['m/1'],
  apply([first]) {
    if (first === 1) return new Refused('no')
    if (first === 2) throw new MalformedCommand('what?')
    return undefined
  },
  capture: () => ({ size: 0, items: () => [], release() {} }),
  install: () => ({ add() {}, commit() {} }),
}

const MEMBERS = ['a', 'b', 'c', 'd', 'e']
const START_MS = 1_790_000_000_000
/** What clocks of writers show beside the right time: right, a bit late, in 2099, weeks behind. */
const OFF_MS = [0, -700, 73 * 365 * 86_400_000, -40 * 86_400_000]

/** A log of a group, and what came of it. */
class RandomLog {
  readonly entries: LogEntry[] = []
  readonly states: string[] = []
  readonly sealed: Record<string, string> = {}
  readonly disputed: number[] = []
  readonly group = new GroupState({ signature: 'm/1', versions: new Versions(machine) })
  readonly #applier = new Applier({
    machine,
    epoch: 'e',
    self: 'a',
    clock: new VirtualClock(),
    group: this.group,
  })
  readonly #anchors: number[] = []
  readonly #every: number
  #state: number
  #nowMs = START_MS

  constructor(seed: number, every: number) {
    this.#state = seed
    this.#every = every
  }

  /** A whole number from 0 up to `below`. */
  chance(below: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0
    return Math.floor((this.#state / 2 ** 32) * below)
  }

  oneOf<T>(values: readonly T[]): T {
    return values[this.chance(values.length)]!
  }

  async add(kind: 'command' | 'control', author: string, payload: Uint8Array): Promise<void> {
    const index = this.entries.length + 1
    this.#nowMs += this.oneOf([0, 1, 40, 2_500, 90_000, 3 * 86_400_000])
    const timestampMs = Math.max(0, this.#nowMs + this.oneOf(OFF_MS))
    const epoch = this.chance(20) === 0 ? 'another' : 'e'
    const entry = { index, timestampMs, author, id: `${author}-${index}`, epoch, kind, payload }
    this.entries.push(entry)
    const batch = { entries: [entry], newest: { index, timestampMs } }
    const listener = {
      decided: (outcome: { type: string; anchor?: number; root?: Uint8Array }) => {
        const { type, anchor, root } = outcome
        if (type === 'marker') this.#anchors.push(index)
        if (type === 'sealed') this.sealed[anchor!] = Buffer.from(root!).toString('hex')
        if (type === 'disputed') this.disputed.push(anchor!)
      },
      skipped() {},
    }
    await this.#applier.apply(batch, listener, new AbortController().signal)
    if (index % this.#every === 0) this.states.push(Buffer.from(this.group.encode()).toString('hex'))
  }

  /** Something that a member may write: most of it counts. */
  async addAny(): Promise<void> {
    const leader = this.chance(8) === 0 ? this.oneOf(MEMBERS) : (this.group.leader ?? 'a')
    const term = this.chance(12) === 0 ? this.chance(9) : this.group.term
    const control = (entry: Control, author = leader) => this.add('control', author, encodeControl(entry))
    switch (this.chance(9)) {
      case 0:
        if (this.chance(3) > 0 && this.group.term > 0) return await this.addAny()
        return await control(
          { type: 'claim', term: term + 1, format: 1 + this.chance(2) },
          this.oneOf(MEMBERS),
        )
      case 1: {
        const electorate = MEMBERS.slice(0, 1 + this.chance(5))
        const signature = this.chance(6) === 0 ? 'm/1' : this.group.signature
        const chunkBytes = this.oneOf([1, 1024, 8 * 1024 * 1024, 8 * 1024 * 1024 + 1])
        return await control({ type: 'marker', term, electorate, requesters: [], chunkBytes, signature })
      }
      case 2:
      case 3:
      case 4: {
        const anchor = this.#anchors.at(-1 - this.chance(3)) ?? 1
        const root = new Uint8Array(32).fill(this.chance(3))
        return await control({ type: 'attestation', anchor, root }, this.oneOf(MEMBERS))
      }
      case 5:
        if (this.chance(2) === 0) return await control({ type: 'tick', term })
        return await control({ type: 'prune', term, upTo: this.chance(5) })
      case 6: {
        if (this.chance(6) > 0) return await this.addAny()
        const from = this.oneOf(['m/1', 'm/2'])
        return await control({ type: 'upgrade', term, format: 1 + this.chance(2), from, to: 'm/2' })
      }
      case 7:
        if (this.chance(9) === 0)
          return await this.add('control', leader, Uint8Array.of(0xff, this.chance(256)))
        return await this.add('command', this.oneOf(MEMBERS), Uint8Array.of(this.chance(4)))
      default:
        return await this.addGuarded()
    }
  }

  async addGuarded(keys = 12, first = this.chance(4)): Promise<void> {
    const expect = this.chance(3) === 0 && { expect: Math.max(0, this.group.lastCommand - this.chance(2)) }
    const key = this.chance(6) > 0 && { key: Buffer.from(`key ${this.chance(keys)}`) }
    const command = Uint8Array.of(first)
    const payload = encodeControl({ type: 'guarded', command, ...expect, ...key })
    await this.add('control', this.oneOf(MEMBERS), payload)
  }

  /** What another implementation makes of it. */
  elsewhere(): unknown {
    const entries = this.entries.map((entry) => {
      return { ...entry, payload: Buffer.from(entry.payload).toString('hex') }
    })
    const input = JSON.stringify({ bound: 'm/1', epoch: 'e', every: this.#every, entries })
    const script = new URL('group.py', import.meta.url).pathname
    const options = { input, encoding: 'utf8', maxBuffer: 2 ** 28 } as const
    const { stdout, stderr, status } = spawnSync('python3', [script], options)
    expect([status, stderr]).toEqual([0, ''])
    return JSON.parse(stdout)
  }

  get here(): unknown {
    return { states: this.states, sealed: this.sealed, disputed: this.disputed }
  }
}

test.skipIf(!hasPython).each([1, 2, 3, 4])(
  'any log makes the same state elsewhere: seed %i',
  async (seed) => {
    const log = new RandomLog(seed, 1)
    while (log.entries.length < 1_000) await log.addAny()
    expect(log.elsewhere()).toEqual(log.here)
    // It was no log of entries that do nothing.
    const { term, clocks, format, signature } = log.group
    expect([format, signature, term > 5, clocks.length > 1]).toEqual([2, 'm/2', true, true])
    expect(Object.keys(log.sealed).length).toBeGreaterThan(3)
    expect(log.disputed.length).toBeGreaterThan(0)
  },
)

test.skipIf(!hasPython)('it remembers as many keys of writes', async () => {
  const log = new RandomLog(9, 1_000)
  await log.add('control', 'a', encodeControl({ type: 'claim', term: 1, format: 2 }))
  while (log.entries.length < 4_000) await log.addGuarded(100_000, 0)
  expect(decodeGroupState(log.group.encode()).recent).toHaveLength(RECENT_WRITES_MAX)
  expect(log.elsewhere()).toEqual(log.here)
})
