import { beforeEach, describe, expect, test } from 'vitest'
import type { Items } from '../../src/machine/items.ts'
import {
  type CommandContext,
  type Installation,
  MalformedQuestion,
  type Snapshot,
  type StateMachine,
} from '../../src/machine/machine.ts'
import { nextRunVersion, type Run } from '../../src/machine/run.ts'
import { checkMachine, type MachineCheck, MachineFault } from '../../src/testing/index.ts'
import { commandsOf } from './own-commands.ts'
import { encode, Shelf, type Thing } from './shelf.ts'

const COMMANDS = commandsOf(60, (chance) =>
  encode(`thing${chance.integer(0, 12)}`, chance.integer(0, 5), chance.pick([0, 0, 500, 3_000])),
)

const QUESTIONS = ['thing1', 'thing7', 'nothing', '', '?'].map((text) => Buffer.from(text))

/** The fault of a machine that has one. */
async function faultOf(factory: () => StateMachine): Promise<MachineFault> {
  const found = await checkMachine(factory, COMMANDS, { questions: QUESTIONS }).catch(
    (error: unknown) => error,
  )
  if (found instanceof MachineFault) return found
  throw new Error('no fault was found', { cause: found })
}

let ofModule = 0
beforeEach(() => {
  ofModule = 0
})

class Clocked extends Shelf {
  override apply(command: Uint8Array, context: CommandContext) {
    return super.apply(command, { ...context, timeMs: Date.now() })
  }
}

class OldInAYear extends Shelf {
  readonly #bornMs = Date.now()
  override itemsNow() {
    return new Date().getFullYear() - new Date(this.#bornMs).getFullYear() > 0 ? [] : super.itemsNow()
  }
}

class Chancy extends Shelf {
  override apply(command: Uint8Array, context: CommandContext) {
    return [super.apply(command, context), Math.random()]
  }
}

class Shared extends Shelf {
  override apply(command: Uint8Array, context: CommandContext) {
    ofModule++
    return super.apply(ofModule % 50 === 0 ? encode('fifty', 50) : command, context)
  }
}

class WrongSize extends Shelf {
  override capture() {
    return { ...super.capture(this.signature), size: this.things.size + 1 }
  }
}

class Shuffled extends Shelf {
  #captures = 0
  override itemsNow() {
    return this.#captures++ % 2 === 0 ? super.itemsNow() : super.itemsNow().reverse()
  }
}

class Huge extends Shelf {
  override itemsNow() {
    const items = super.itemsNow()
    return items.length > 3 ? [...items, new Uint8Array(33 * 1024 * 1024)] : items
  }
}

class WrongRuns extends Shelf {
  override capture() {
    const items = this.itemsNow().slice(1)
    const bytes = new Uint8Array(Buffer.concat(items.flatMap((item) => [Uint8Array.of(item.length), item])))
    const version = nextRunVersion()
    const run: Run = {
      bytes,
      start: 0,
      end: bytes.length,
      length: items.length,
      version,
      boundaries: undefined,
    }
    return { ...super.capture(this.signature), runs: () => (items.length === 0 ? [] : [run]) }
  }
}

class Uncapturable extends Shelf {
  override capture(): Snapshot {
    if (this.things.size > 3) throw new Error('it is too full')
    return super.capture(this.signature)
  }
}

class Viewer extends Shelf {
  #last: Uint8Array = encode('none', 1)
  override apply(command: Uint8Array, context: CommandContext) {
    const result = super.apply(command, context)
    this.#last = command
    return result
  }

  override itemsNow() {
    return [...super.itemsNow(), this.#last]
  }
}

class Scribbler extends Shelf {
  override apply(command: Uint8Array, context: CommandContext) {
    const result = super.apply(command, context)
    command.fill(0x20)
    return result
  }
}

class Live extends Shelf {
  override capture(): Snapshot {
    return { size: undefined, items: () => this.itemsNow(), release() {} }
  }
}

class Lazy extends Shelf {
  override capture(): Snapshot {
    const names = [...this.things.keys()].sort()
    const things = this.things
    const itemOf = (name: string) => encode(name, things.get(name)?.n ?? 0, things.get(name)?.dieMs)
    return { size: names.length, items: () => names.values().map(itemOf), release() {} }
  }
}

class LateReleaser extends Shelf {
  override capture(): Snapshot {
    let isRead = false
    const snapshot = super.capture(this.signature)
    const items = () => {
      isRead = true
      return snapshot.items()
    }
    return { ...snapshot, items, release: () => isRead || this.things.clear() }
  }
}

class Unreleasable extends Shelf {
  override capture(): Snapshot {
    const release = () => {
      throw new Error('it was released before')
    }
    return { ...super.capture(this.signature), release }
  }
}

class ScribbledRuns extends Shelf {
  override capture() {
    const items = this.itemsNow()
    const bytes = new Uint8Array(Buffer.concat(items.flatMap((item) => [Uint8Array.of(item.length), item])))
    const version = nextRunVersion()
    const run: Run = {
      bytes,
      start: 0,
      end: bytes.length,
      length: items.length,
      version,
      boundaries: undefined,
    }
    const release = () => void bytes.fill(0)
    return { ...super.capture(this.signature), runs: () => (items.length === 0 ? [] : [run]), release }
  }
}

class Forgetful extends Shelf {
  #applied = 0
  override apply(command: Uint8Array, context: CommandContext) {
    const result = super.apply(command, context)
    return [result, ++this.#applied]
  }
}

class Merging extends Shelf {
  override install(): Installation {
    const things = new Map(this.things)
    return {
      add: (items) => this.addTo(things, items),
      commit: () => {
        this.things = things
      },
    }
  }
}

class InPlace extends Shelf {
  override install(): Installation {
    let isFirst = true
    const add = (items: Items) => {
      if (isFirst) this.things.clear()
      isFirst = false
      this.addTo(this.things, items)
    }
    return { add, commit() {} }
  }
}

class Abandoner extends Shelf {
  override install(): Installation {
    return { ...super.install(this.signature), abandon: () => this.things.clear() }
  }
}

class Uninstallable extends Shelf {
  override addTo(things: Map<string, Thing>, items: Items): void {
    if (items.length > 3) throw new TypeError('that is too much')
    super.addTo(things, items)
  }
}

class Careless extends Shelf {
  override decode(bytes: Uint8Array): [name: string, n: number, ms: number] {
    const [name = '', n, ms] = Buffer.from(bytes).toString().split(' ')
    if (bytes.length === 3) throw new TypeError('ms is undefined')
    return [name, Number(n), Number(ms ?? 0)]
  }
}

class Hasty extends Shelf {
  override apply(command: Uint8Array, context: CommandContext) {
    const [name = ''] = Buffer.from(command).toString().split(' ')
    this.things.set(name, { n: 1, dieMs: 0 })
    return super.apply(command, context)
  }
}

class Counting extends Shelf {
  #malformed = 0
  override apply(command: Uint8Array, context: CommandContext) {
    try {
      return [super.apply(command, context), this.#malformed]
    } catch (error) {
      this.#malformed++
      throw error
    }
  }
}

class OverDue extends Shelf {
  override get dueMs() {
    const due = super.dueMs
    return due && due - 10_000
  }
}

class Early extends Shelf {
  override advance(timeMs: number): void {
    super.advance(timeMs + 2)
  }
}

class DueForgotten extends Shelf {
  #isInstalled = false
  override get dueMs() {
    return this.#isInstalled ? undefined : super.dueMs
  }

  override install(): Installation {
    const { add, commit } = super.install(this.signature)
    const commitAll = () => {
      this.#isInstalled = true
      commit()
    }
    return { add, commit: commitAll }
  }
}

class Stepping extends Shelf {
  #lastMs = Number.POSITIVE_INFINITY
  override advance(timeMs: number): void {
    if (timeMs - this.#lastMs < 2_000) super.advance(timeMs)
    this.#lastMs = timeMs
  }
}

class Promising extends Shelf {
  override apply(command: Uint8Array, context: CommandContext) {
    return Promise.try(() => super.apply(command, context))
  }
}

class Asked extends Shelf {
  query(question: Uint8Array): Uint8Array | undefined {
    const thing = this.things.get(this.nameIn(question))
    return thing && Buffer.from(`${thing.n}`)
  }

  nameIn(question: Uint8Array): string {
    const name = Buffer.from(question).toString()
    if (!/^\w+$/.test(name)) throw new MalformedQuestion('a question is a name')
    return name
  }
}

class Curious extends Asked {
  override query(question: Uint8Array) {
    this.things.set(this.nameIn(question), { n: 1, dieMs: 0 })
    return undefined
  }
}

class Timely extends Asked {
  override query() {
    return Buffer.from(`${new Date().getFullYear()}`)
  }
}

class Remembering extends Asked {
  #applied = 0
  override apply(command: Uint8Array, context: CommandContext) {
    this.#applied++
    return super.apply(command, context)
  }

  override query() {
    return Buffer.from(`${this.#applied}`)
  }
}

class LiveAnswer extends Asked {
  readonly #answer = new Uint8Array(1)
  override query() {
    this.#answer[0] = this.things.size
    return this.#answer
  }
}

class Unanswering extends Asked {
  override nameIn(): string {
    throw new TypeError('what?')
  }
}

class NoUndo extends Shelf {
  readonly transaction = { begin() {}, commit() {}, rollback() {} }
}

class LosesCommits extends Shelf {
  #before = this.things
  readonly transaction = {
    begin: () => {
      this.#before = new Map(this.things)
    },
    commit: () => {
      if (this.things.size > 3) this.things = this.#before
    },
    rollback: () => {
      this.things = this.#before
    },
  }
}

const BROKEN: Partial<Readonly<Record<MachineCheck, readonly (new () => Shelf)[]>>> = {
  determinism: [Clocked, OldInAYear, Chancy, Shared, Promising],
  items: [WrongSize, Shuffled, Huge, WrongRuns, Uncapturable],
  views: [Viewer, Scribbler],
  isolation: [Live, Lazy, LateReleaser, Unreleasable, ScribbledRuns],
  install: [Forgetful, Merging, InPlace, Abandoner, Uninstallable],
  malformed: [Careless, Hasty, Counting],
  time: [OverDue, Early, DueForgotten, Stepping],
  questions: [Curious, Timely, Remembering, LiveAnswer, Unanswering],
  transaction: [NoUndo, LosesCommits],
}

test('a sound machine has no fault', async () => {
  for (const Machine of [Shelf, Asked]) {
    const report = await checkMachine(() => new Machine(), COMMANDS, { questions: QUESTIONS })
    expect(report).toMatchObject({ commands: 60, malformed: 0 })
  }
})

describe.each(Object.entries(BROKEN))('a machine whose fault is of %s is found', (check, machines) => {
  test.each(machines.map((Machine) => [Machine.name, Machine] as const))('%s', async (_, Machine) => {
    const fault = await faultOf(() => new Machine())
    expect([fault.check, fault.code]).toEqual([check, 'MACHINE_FAULT'])
  })
})

test('a fault says where it was seen, what differed, and what to do', async () => {
  const fault = await faultOf(() => new Hasty())
  expect(fault).toMatchObject({ check: 'malformed', command: 0 })
  expect(fault.message).toBe(
    'malformed at command 0 (""): apply() threw MalformedCommand, and changed the state: item 0 is not there before and " 1 0" afterwards; there are 0 items before, and 1 afterwards; look at all of a command before the first change, and throw MalformedCommand for bytes that are none: any other error halts every replica of the group',
  )
})

test('where states are compared after several commands, it says which they are', async () => {
  const few = await checkMachine(() => new Shared(), COMMANDS, { places: 4 }).catch((error: Error) => error)
  expect(String(few)).toMatch(/^MachineFault: determinism in commands 20 to 39: on two instances, the states/)
  ofModule = 0
  const all = await checkMachine(() => new Shared(), COMMANDS, { places: 61 }).catch((error: Error) => error)
  expect(String(all)).toMatch(/^MachineFault: determinism at command 39 \("thing/)
})

test('what the machine threw is the cause', async () => {
  const fault = await faultOf(() => new Uncapturable())
  expect(fault.cause).toMatchObject({ message: 'it is too full' })
})

describe('what is asked of the caller', () => {
  const shelf = () => new Shelf()
  const early = [
    { command: encode('a', 1), timeMs: 5 },
    { command: encode('a', 2), timeMs: 4 },
  ]

  test.each([
    ['no commands', shelf, [], {}, /no commands/],
    ['a time that goes back', shelf, early, {}, /commands\[1\]\.timeMs is 4; give an integer from 5/],
    ['a command that is text', shelf, ['a 1 0' as never], {}, /commands\[0\]/],
    ['a seed that is none', shelf, COMMANDS, { seed: -1 }, /seed/],
    ['one place', shelf, COMMANDS, { places: 1 }, /places/],
    ['no factory', 5 as never, COMMANDS, {}, /factory is 5; give a function/],
  ])('%s is refused', async (_, factory, commands, options, message) => {
    const error = await checkMachine(factory, commands, options).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(RangeError)
    expect(String(error)).toMatch(message)
  })

  test('a factory makes a new machine each time, of one signature', async () => {
    const one = new Shelf()
    await expect(checkMachine(() => one, COMMANDS)).rejects.toThrow('second time')
    let made = 0
    const factory = () => Object.assign(new Shelf(), { signature: `shelf/${++made}` })
    await expect(checkMachine(factory, COMMANDS)).rejects.toThrow('signatures shelf/1 and shelf/2')
  })

  test('what the factory throws is passed on', async () => {
    const factory = async () => {
      throw new Error('there is no room')
    }
    await expect(checkMachine(factory, COMMANDS)).rejects.toThrow('there is no room')
  })
})

test('commands may come one by one, and machines that can be closed are closed', async () => {
  let [made, closed] = [0, 0]
  class Closable extends Shelf implements AsyncDisposable {
    async [Symbol.asyncDispose]() {
      closed++
    }
  }
  async function* commands() {
    yield encode('a', 1)
    yield { command: encode('b', 2, 500) }
  }
  const factory = async () => {
    made++
    return new Closable()
  }
  await checkMachine(factory, commands())
  expect([made > 5, closed]).toEqual([true, made])
})

test('the same seed makes the same malformed commands, and another one others', async () => {
  const mutants = async (seed: number) => (await checkMachine(() => new Shelf(), COMMANDS, { seed })).mutants
  expect(await mutants(3)).toEqual(await mutants(3))
  const all = await Promise.all([1, 2, 3, 4, 5].map(mutants))
  expect(new Set(all.map(({ applied }) => applied)).size).toBeGreaterThan(1)
})

/** It answers from an index that is in no snapshot. */
class Indexed extends Shelf {
  index = new Map<string, number>()

  override apply(command: Uint8Array, context: CommandContext) {
    const result = super.apply(command, context)
    this.#add(this.things)
    return result
  }

  async afterInstall(): Promise<void> {
    this.index = new Map()
    await Promise.resolve()
    this.#add(this.things)
  }

  query(question: Uint8Array): Uint8Array {
    const name = Buffer.from(question).toString()
    return Buffer.from(`${this.things.has(name)} ${this.index.get(name)}`)
  }

  #add(things: Map<string, { readonly n: number }>): void {
    for (const [name, { n }] of things) this.index.set(name, n)
    for (const name of this.index.keys()) if (!things.has(name)) this.index.delete(name)
  }
}

/** It forgets to make the index. */
class Unindexed extends Indexed {
  override async afterInstall(): Promise<void> {
    this.index = new Map()
  }
}

class TornIndex extends Indexed {
  override async afterInstall(): Promise<void> {
    throw new Error('the index tore')
  }
}

describe('what a machine does after an install', () => {
  const still = commandsOf(60, (chance) => encode(`thing${chance.integer(0, 12)}`, chance.integer(0, 5)))

  test('is done before it is looked at', async () => {
    await checkMachine(() => new Indexed(), still, { questions: QUESTIONS })
  })

  test('is a fault where it is left undone, or fails', async () => {
    const check = (factory: () => StateMachine) => checkMachine(factory, still, { questions: QUESTIONS })
    await expect(check(() => new Unindexed())).rejects.toThrow(MachineFault)
    await expect(check(() => new TornIndex())).rejects.toThrow('the index tore')
  })
})
