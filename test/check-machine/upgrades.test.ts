import { describe, expect, test } from 'vitest'
import type { Items } from '../../src/machine/items.ts'
import type { CommandContext, Installation, Snapshot } from '../../src/machine/machine.ts'
import { encodeOne } from '../../src/machines/compose/command.ts'
import { compose } from '../../src/machines/compose/compose.ts'
import { ReplicatedList } from '../../src/machines/list/replicated-list.ts'
import { type CheckMachineOptions, checkMachine, MachineFault } from '../../src/testing/index.ts'
import { commandsOf } from './own-commands.ts'
import { encode, Shelf, type Thing } from './shelf.ts'

const COMMANDS = commandsOf(60, (chance) =>
  encode(`thing${chance.integer(0, 12)}`, chance.integer(0, 5), chance.pick([0, 0, 500, 3_000])),
)
const OLDER = { 'shelf/1': { factory: () => new Shelf() } }

interface Tagged extends Thing {
  readonly tag?: string
}

/** A shelf whose things have tags from version 2 on. It speaks version 1 too. */
class TaggedShelf extends Shelf {
  override readonly signature: string = 'shelf/2'
  readonly older: readonly string[] = ['shelf/1']
  override things = new Map<string, Tagged>()

  override apply(command: Uint8Array, context: CommandContext) {
    const result = super.apply(command, context)
    const [name] = this.decode(command)
    if (this.speaks(context.signature)) this.tag(name, 'new')
    return result
  }

  upgrade(_from: string, to: string): void {
    if (!this.speaks(to)) return
    for (const name of this.things.keys()) this.tag(name, this.tagOfOld(name))
  }

  tagOfOld(name: string): string {
    return `was ${this.things.get(name)!.n}`
  }

  override capture(signature: string): Snapshot {
    const items = this.itemsNow().map((item) => (this.speaks(signature) ? this.withTag(item) : item))
    return { size: items.length, items: () => items, release() {} }
  }

  override install(signature: string): Installation {
    const things = new Map<string, Tagged>()
    const add = (items: Items) => {
      for (const item of items) {
        const [thing = '', tag = ''] = Buffer.from(item).toString().split('|')
        const [name, n, dieMs] = this.decode(Buffer.from(thing))
        things.set(name, this.speaks(signature) ? { n, dieMs, tag } : { n, dieMs })
      }
    }
    return {
      add,
      commit: () => {
        this.things = things
      },
    }
  }

  speaks(signature: string): boolean {
    return signature !== 'shelf/1'
  }

  tag(name: string, tag: string): void {
    const thing = this.things.get(name)
    if (thing !== undefined) this.things.set(name, { ...thing, tag })
  }

  withTag(item: Uint8Array): Uint8Array {
    const [name] = this.decode(item)
    return Buffer.from(`${Buffer.from(item)}|${this.things.get(name)?.tag}`)
  }
}

/** One that knows a version in between, in which nothing changed. */
class LaterShelf extends TaggedShelf {
  override readonly signature = 'shelf/3'
  override readonly older = ['shelf/2', 'shelf/1']
}

class TagsByClock extends TaggedShelf {
  override tagOfOld() {
    return `since ${new Date().getFullYear()}`
  }
}

class TagsByPast extends TaggedShelf {
  #applied = 0
  override apply(command: Uint8Array, context: CommandContext) {
    this.#applied++
    return super.apply(command, context)
  }

  override tagOfOld() {
    return `after ${this.#applied}`
  }
}

class TagsLost extends TaggedShelf {
  override install(signature: string): Installation {
    const { add, commit } = super.install(signature)
    const commitAll = () => {
      commit()
      if (this.speaks(signature)) this.tag('thing3', 'lost')
    }
    return { add, commit: commitAll }
  }
}

class CapturesTooNew extends TaggedShelf {
  override speaks() {
    return true
  }
}

class Unable extends TaggedShelf {
  override upgrade() {
    throw new Error('it cannot')
  }
}

class LiveAtUpgrade extends TaggedShelf {
  override capture(signature: string): Snapshot {
    const snapshot = super.capture(signature)
    const all = [...snapshot.items()]
    const items = () => (this.#isUpgraded && !this.speaks(signature) ? all.toReversed() : all)
    return { ...snapshot, items }
  }

  #isUpgraded = false
  override upgrade(from: string, to: string): void {
    this.#isUpgraded = true
    super.upgrade(from, to)
  }
}

class SloppyInOld extends TaggedShelf {
  #last = 0
  override apply(command: Uint8Array, context: CommandContext) {
    if (this.speaks(context.signature)) return super.apply(command, context)
    this.#last++
    return [super.apply(command, context), this.#last]
  }
}

async function faultOf(factory: () => Shelf, options: CheckMachineOptions = {}): Promise<MachineFault> {
  const found = await checkMachine(factory, COMMANDS, options).catch((error: unknown) => error)
  if (found instanceof MachineFault) return found
  throw new Error('no fault was found', { cause: found })
}

test('a machine that speaks an older version is checked with that one active, and over the way from it', async () => {
  const report = await checkMachine(() => new TaggedShelf(), COMMANDS, { older: OLDER })
  expect(report.upgrades).toEqual([{ from: 'shelf/1', to: 'shelf/2' }])
})

test('from each older version to the next and to the newest', async () => {
  const report = await checkMachine(() => new LaterShelf(), COMMANDS, { older: OLDER })
  expect(report.upgrades).toEqual([
    { from: 'shelf/2', to: 'shelf/3' },
    { from: 'shelf/1', to: 'shelf/2' },
    { from: 'shelf/1', to: 'shelf/3' },
  ])
})

test('a composition of machines that speak older versions passes', async () => {
  const factory = () => compose({ shelf: new TaggedShelf(), words: new ReplicatedList<string>() })
  const words = new ReplicatedList<string>()
  const commands = COMMANDS.flatMap(({ command, timeMs }, n) => [
    { command: encodeOne([1], command), timeMs },
    { command: encodeOne([2], words.commands.push(`word ${n}`)), timeMs },
  ])
  const report = await checkMachine(factory, commands)
  expect(report.upgrades.length).toBeGreaterThan(0)
})

test('an older version may have commands of its own', async () => {
  const commands = [encode('old', 1), encode('older', 2)]
  const older = { 'shelf/1': { ...OLDER['shelf/1'], commands } }
  let [applied, upgraded] = [0, 0]
  class Counted extends TaggedShelf {
    override apply(command: Uint8Array, context: CommandContext) {
      if (context.signature === 'shelf/1' && Buffer.from(command).toString() === 'older 2 0') applied++
      return super.apply(command, context)
    }

    override upgrade(from: string, to: string): void {
      upgraded++
      super.upgrade(from, to)
    }
  }
  await checkMachine(() => new Counted(), COMMANDS, { older })
  expect([applied > 5, upgraded > 5]).toEqual([true, true])
})

describe('what is wrong with an upgrade, or with the older version, is found', () => {
  test.each([
    [TagsByClock, 'upgrade', /with shelf\/1 active.*after upgrade\(shelf\/1, shelf\/2\), on two instances/],
    [TagsByPast, 'upgrade', /with and without an install before, the states differ/],
    [Unable, 'upgrade', /upgrade\(shelf\/1, shelf\/2\) threw Error: it cannot/],
    [LiveAtUpgrade, 'upgrade', /a snapshot of before the upgrade was read after upgrade/],
    [SloppyInOld, 'install', /^install with shelf\/1 active/],
    [TagsLost, 'install', /installed/],
  ])('%o', async (Machine, check, message) => {
    const fault = await faultOf(() => new Machine())
    expect(fault.check).toBe(check)
    expect(fault.message).toMatch(message)
  })

  test('the newest code has other states than the older one had, whose code is at hand', async () => {
    const fault = await faultOf(() => new CapturesTooNew(), { older: OLDER })
    expect(fault).toMatchObject({ check: 'upgrade', version: 'shelf/1' })
    expect(fault.message).toContain('the machine of that version and the newest one differ')
  })
})

test('versions that the machine does not speak, and factories of others, are refused', async () => {
  const factory = () => new TaggedShelf()
  await expect(checkMachine(factory, COMMANDS, { older: { 'shelf/0': {} } })).rejects.toThrow(
    'options.older names shelf/0, which the machine does not speak; it speaks shelf/2, shelf/1',
  )
  const older = { 'shelf/1': { factory: () => new LaterShelf() } }
  await expect(checkMachine(factory, COMMANDS, { older })).rejects.toThrow(
    'the factory of the older version shelf/1 made a machine of shelf/3',
  )
})
