import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeControl } from '../../src/group/control.ts'
import { GroupState } from '../../src/group/group-state.ts'
import { AppendUncertain } from '../../src/log/errors.ts'
import type { LogEntry } from '../../src/log/log.ts'
import type { Written } from '../../src/machine/machine.ts'
import { Applier } from '../../src/replica/following/applier.ts'
import { ChunkWriter } from '../../src/snapshot/chunk.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'
import { Journal, line } from './journal.ts'

const MEMBERS = 3
const KEYS = ['a', 'b', 'c', 'd', 'e']
const LISTENER = { decided: () => {}, skipped: () => {} }
const { signal } = new AbortController()

/** What becomes of an append: the entry is there or not, and the writer knows or not. */
type Append = 'acknowledged' | 'uncertain, and there' | 'uncertain, and not there'

type Step =
  | { readonly do: 'write'; readonly member: number; readonly key: string; readonly append: Append }
  | { readonly do: 'apply'; readonly member: number; readonly count: number }
  | { readonly do: 'join'; readonly member: number; readonly from: number }
  | { readonly do: 'save' | 'restart'; readonly member: number }
  | { readonly do: 'prune' }

interface Saved {
  readonly index: number
  readonly lines: readonly string[]
  readonly control: Uint8Array
}

/** The entries of a log, of which the oldest may be gone. */
class Entries {
  readonly all: LogEntry[] = []
  /** The oldest that is still there. */
  first = 1

  constructor() {
    this.append('founder', encodeControl({ type: 'claim', term: 1, format: 2 }))
  }

  append(author: string, payload: Uint8Array): LogEntry {
    const index = this.all.length + 1
    const entry: LogEntry = {
      index,
      id: `id-${index}`,
      author,
      epoch: 'e',
      kind: 'control',
      timestampMs: 1,
      payload,
    }
    this.all.push(entry)
    return entry
  }
}

/** A replica's state, as long as its process lives. */
class Member {
  readonly name: string
  readonly #log: Entries
  readonly #journal = new Journal()
  readonly #group = new GroupState()
  readonly #applier: Applier<number>

  constructor(name: string, log: Entries) {
    this.name = name
    this.#log = log
    const init = { machine: this.#journal, epoch: 'e', self: name, clock: new VirtualClock() }
    this.#applier = new Applier({ ...init, group: this.#group })
  }

  get lines(): readonly string[] {
    return this.#journal.lines
  }

  get canFollow(): boolean {
    return this.#applier.applied + 1 >= this.#log.first
  }

  /** Rejects with `AppendUncertain` if it is told so. */
  async write(key: string, append: Append): Promise<Written<number>> {
    const conditions = { key: Buffer.from(key) }
    const payload = encodeControl({ type: 'guarded', command: line(key), ...conditions })
    const told = async () => {
      const entry = append === 'uncertain, and not there' ? undefined : this.#log.append(this.name, payload)
      if (entry === undefined || append !== 'acknowledged') throw new AppendUncertain('no answer')
      return { first: entry.index, firstId: entry.id }
    }
    return await this.#applier.writes.track(told, { conditions })
  }

  async apply(count: number): Promise<void> {
    const { applied } = this.#applier
    const entries = this.#log.all.slice(applied, applied + count)
    if (!this.canFollow || entries.length === 0) return
    await this.#applier.apply({ entries, newest: entries.at(-1)! }, LISTENER, signal)
  }

  save(): Saved {
    return { index: this.#applier.applied, lines: [...this.lines], control: this.#group.encode() }
  }

  async install({ index, lines, control }: Saved): Promise<void> {
    if (index <= this.#applier.applied) return
    const building = this.#applier.beginInstall(signal, () => 'journal/1')
    const writer = new ChunkWriter(1024 * 1024)
    for (const text of lines) writer.add(line(text))
    if (lines.length > 0) await building.add(writer.take().bytes, lines.length)
    await building.finish?.()
    building.commit({ epoch: 'e', index }, control)
  }

  end(): void {
    this.#applier.fail(new Error('the process ended'))
  }
}

const member = fc.nat(MEMBERS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('write' as const),
      member,
      key: fc.constantFrom(...KEYS),
      append: fc.constantFrom<Append>('acknowledged', 'uncertain, and there', 'uncertain, and not there'),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('apply' as const),
      member,
      count: fc.integer({ min: 1, max: 5 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('join' as const), member, from: member }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('save' as const, 'restart' as const), member }) },
  { weight: 1, arbitrary: fc.constant({ do: 'prune' as const }) },
)

/** Members that write to one log, and whatever their writers are told. */
class Scene {
  readonly log = new Entries()
  readonly members = Array.from({ length: MEMBERS }, (_, n) => new Member(`member ${n}`, this.log))
  /** The newest checkpoint of each. */
  readonly saved: (Saved | undefined)[] = []
  readonly answers: Promise<{ readonly key: string; readonly written: Written<number> } | undefined>[] = []

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'write':
        return await this.write(step.member, step.key, step.append)
      case 'apply':
        return await this.members[step.member]!.apply(step.count)
      case 'join':
        return await this.members[step.member]!.install(this.members[step.from]!.save())
      case 'save':
        this.saved[step.member] = this.members[step.member]!.save()
        return
      case 'restart':
        return await this.#restart(step.member)
      case 'prune':
        // Whoever is behind needs another's state from now on.
        this.log.first = Math.max(this.log.first, ...this.members.map((one) => one.save().index + 1))
        return
      default:
        return step satisfies never
    }
  }

  async write(by: number, key: string, append: Append): Promise<void> {
    const answer = this.members[by]!.write(key, append).then(
      (written) => ({ key, written }),
      () => undefined,
    )
    this.answers.push(answer)
    await new Promise(setImmediate)
  }

  /** All have applied all. */
  async settle(): Promise<void> {
    const newest = this.members.map((one) => one.save()).toSorted((a, b) => b.index - a.index)[0]!
    for (const one of this.members) {
      if (!one.canFollow) await one.install(newest)
      await one.apply(this.log.all.length)
    }
  }

  async #restart(n: number): Promise<void> {
    this.members[n]!.end()
    const one = new Member(`member ${n}`, this.log)
    this.members[n] = one
    const saved = this.saved[n]
    if (saved !== undefined) await one.install(saved)
    // The newest state may have gone with this one.
    const newest = Math.max(...this.members.map((other) => other.save().index))
    this.log.first = Math.min(this.log.first, newest + 1)
  }
}

test('a write with a key, however often it is repeated by whom, is applied once everywhere, and all are told where', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60, size: 'max' }), async (steps) => {
      const scene = new Scene()
      for (const each of steps) await scene.take(each)
      await scene.settle()
      for (const key of KEYS) await scene.write(0, key, 'acknowledged')
      await scene.settle()
      for (const { lines } of scene.members) expect(lines.toSorted()).toEqual(KEYS)
      const answers = (await Promise.all(scene.answers)).filter((answer) => answer !== undefined)
      const firsts = new Map<string, number>()
      for (const { index, payload } of scene.log.all.slice(1).reverse())
        firsts.set(Buffer.from(payload).toString('hex'), index)
      for (const { key, written } of answers) {
        const conditions = { key: Buffer.from(key) }
        const payload = encodeControl({ type: 'guarded', command: line(key), ...conditions })
        const first = firsts.get(Buffer.from(payload).toString('hex'))
        expect([key, written.position.index]).toEqual([key, first])
      }
      expect(answers.length).toBeGreaterThanOrEqual(KEYS.length)
    }),
    { numRuns: 150 },
  )
})
