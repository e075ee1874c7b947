import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { main } from '../../docs/examples/accounts.ts'
import { type MemoryLog, memoryLog } from '../../src/log/memory.ts'
import { MalformedCommand } from '../../src/machine/machine.ts'
import { CommandRefused } from '../../src/machines/sqlite/errors.ts'
import {
  type SqliteMachine,
  type SqliteMachineInit,
  sqliteMachine,
} from '../../src/machines/sqlite/sqlite-machine.ts'
import { ApplyFailed, StateOfAnotherLog } from '../../src/replica/errors.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import { createReplica } from '../../src/replica/start.ts'
import { leads, next, TIMES } from '../replica/cluster.ts'
import { SqliteMachines } from './sqlite-machines.ts'

const SCHEMA = `
  CREATE TABLE line (n INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT;
  CREATE TABLE tally (text TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT, WITHOUT ROWID;
  CREATE INDEX by_text ON line (text);`

/** A journal of lines, and how often each was written. The result is the number of lines. */
class Lines {
  readonly machine: SqliteMachine<number>
  /** What this life of the machine was given. */
  readonly applied: string[] = []
  /** What this one makes of a line; a machine must not have a mind of its own. */
  twist = (text: string) => text

  constructor(path: string, init: Partial<SqliteMachineInit<number>> = {}) {
    this.machine = sqliteMachine<number>({
      path,
      schema: SCHEMA,
      apply: (db, command) => {
        const text = this.twist(Buffer.from(command).toString())
        db.run('INSERT INTO line (text) VALUES (?)', text)
        db.run('INSERT INTO tally VALUES (?, 1) ON CONFLICT DO UPDATE SET count = count + 1', text)
        if (text === 'malformed') throw new MalformedCommand('no line')
        if (text === 'refused') throw new CommandRefused('not this line')
        if (text === 'random') db.run('INSERT INTO line (text) VALUES (random())')
        if (text === 'unbearable') throw new Error('the journal tore')
        this.applied.push(text)
        return Number(db.get('SELECT max(n) AS n FROM line')?.n)
      },
      ...init,
    })
  }

  get texts(): unknown[] {
    return this.machine.all('SELECT text FROM line ORDER BY n').map(({ text }) => text)
  }

  async write(...texts: readonly string[]): Promise<number[]> {
    const results: number[] = []
    for (const text of texts) results.push((await this.machine.submit(Buffer.from(text))).result!)
    return results
  }
}

class Group implements AsyncDisposable {
  readonly machines = new SqliteMachines()
  log: MemoryLog = memoryLog({ epoch: 'e' })
  readonly #running = new Set<() => Promise<void>>()

  async start(
    name: string,
    init: Partial<ReplicaInit<number | CommandRefused>> = {},
    twist?: (text: string) => string,
  ) {
    const lines = new Lines(this.machines.path(name))
    if (twist !== undefined) lines.twist = twist
    const { machine } = lines
    try {
      const replica = await createReplica({
        ...{ group: 'g', machine, log: this.log, volatile: true, chunkBytes: 64, ...TIMES },
        ...init,
      })
      const stop = async () => {
        this.#running.delete(stop)
        await replica.stop()
        machine.close()
      }
      this.#running.add(stop)
      return { lines, machine, replica, stop }
    } catch (error) {
      machine.close()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#running, (stop) => stop()))
    this.machines[Symbol.dispose]()
  }
}

let group: Group
beforeEach(() => {
  group = new Group()
})
afterEach(() => group[Symbol.asyncDispose]())

const numbers = (count: number) => Array.from({ length: count }, (_, n) => `line ${n}`)

test('a write with a key is committed once, is known to the next life, and stays free where SQL refused it', async () => {
  const one = await group.start('one')
  const write = (text: string, key: string) => one.machine.submit(Buffer.from(text), { key })
  const first = await write('pay', 'order 1')
  expect(first.result).toBe(1)
  await expect(write('refused', 'order 2')).rejects.toThrow(CommandRefused)
  expect(await write('pay', 'order 2')).toMatchObject({ result: 2 })
  await one.stop()
  const again = await group.start('one')
  const repeated = await again.machine.submit(Buffer.from('pay'), { key: 'order 1' })
  expect(repeated).toEqual({ position: first.position, result: undefined, repeated: true })
  expect(again.lines.texts).toEqual(['pay', 'pay'])
})

test('a joiner has the state from the others, and then from its own file, with nobody there', async () => {
  const one = await group.start('one')
  await leads(one.replica)
  expect(await one.lines.write(...numbers(50))).toEqual(Array.from({ length: 50 }, (_, n) => n + 1))
  await one.replica.prune({ keepEntries: 0 })

  const joiner = await group.start('two', { lead: false })
  await joiner.replica.inSync()
  expect(joiner.lines.texts).toEqual(numbers(50))
  expect(joiner.lines.applied).toEqual([])
  await one.lines.write('after')
  await joiner.replica.barrier()
  expect(joiner.lines.applied).toEqual(['after'])
  await joiner.stop()
  await one.lines.write('meanwhile')
  await one.stop()

  const again = await group.start('two', { libp2p: { connectionGater: { denyDialPeer: () => true } } })
  await again.replica.inSync()
  expect(again.lines.applied).toEqual(['meanwhile'])
  expect(again.lines.texts).toEqual([...numbers(50), 'after', 'meanwhile'])
  await leads(again.replica)
  expect(await again.lines.write('last')).toEqual([53])
})

test('a command that apply refuses is undone everywhere, its writer is told, and the others go on', async () => {
  const [one, two] = [await group.start('one'), await group.start('two', { lead: false })]
  await leads(one.replica)
  await expect(one.lines.write('refused')).rejects.toThrow(new CommandRefused('not this line'))
  await expect(two.lines.write('random')).rejects.toMatchObject({ cause: { name: 'SqlNotDeterministic' } })
  const skipped = next(two.replica, 'skipped')
  expect(await two.lines.write('malformed')).toEqual([undefined])
  expect((await skipped).why).toBe('no line')
  expect(await two.lines.write('fine')).toEqual([1])
  await one.replica.barrier()
  expect([one.lines.texts, two.lines.texts]).toEqual([['fine'], ['fine']])
})

test('a machine that fails stops its replica at its newest commit, and goes on from there when it is mended', async () => {
  const one = await group.start('one')
  await leads(one.replica)
  await one.lines.write('a', 'b')
  const before = one.replica.position
  await expect(one.lines.write('unbearable')).rejects.toThrow(ApplyFailed)
  expect([one.replica.state, one.lines.texts]).toEqual(['halted', ['a', 'b']])
  expect(one.replica.position.index).toBeGreaterThanOrEqual(before.index)
  await one.stop()
  const mended = await group.start('one', {}, (text) => (text === 'unbearable' ? 'borne' : text))
  await mended.replica.inSync()
  expect([mended.lines.applied, mended.lines.texts]).toEqual([['borne'], ['a', 'b', 'borne']])
})

describe('a state that is not of this log', () => {
  /** Returns the index of the newest entry. */
  async function leave(): Promise<number> {
    const one = await group.start('one')
    await leads(one.replica)
    await one.lines.write('a')
    const { index } = one.replica.position
    await one.stop()
    return index
  }

  test.each<[what: string, init: Partial<ReplicaInit<number | CommandRefused>>]>([
    ['of another group', { group: 'other', log: memoryLog({ epoch: 'e' }) }],
    ['of another log', { log: memoryLog({ epoch: 'f' }) }],
  ])('is refused: %s', async (_what, init) => {
    await leave()
    const error = await group.start('one', init).catch((refusal: unknown) => refusal)
    expect(error).toBeInstanceOf(StateOfAnotherLog)
    expect(error).toMatchObject({ group: 'g', position: { epoch: 'e' } })
    const again = await group.start('one')
    await again.replica.inSync()
    expect(again.lines.texts).toEqual(['a'])
  })

  test('is given up when it is told so, and kept aside', async () => {
    await leave()
    const again = await group.start('one', { log: memoryLog({ epoch: 'f' }), newLog: true })
    await again.replica.inSync()
    expect(again.lines.texts).toEqual([])
    await again.lines.write('b')
    expect(await readdir(group.machines.path('one'))).toContain('aside.1.db')
  })

  test('a log that was put back is not followed from what it held before', async () => {
    const index = await leave()
    group.log.rewind(index - 1)
    const other = await group.start('two')
    await leads(other.replica)
    await other.lines.write('x', 'y', 'z')
    await other.stop()
    const again = await group.start('one')
    await expect(again.replica.inSync()).rejects.toMatchObject({ name: 'LogRewound' })
  })
})

test('a state that diverged is replaced, and is not what the next life begins with', async () => {
  const island = { alone: true }
  const wrong = await group.start(
    'wrong',
    { lead: false, libp2p: { connectionGater: { denyDialPeer: () => island.alone } } },
    (text) => (text === 'b' ? 'something else' : text),
  )
  const [one, two] = [await group.start('one'), await group.start('two', { lead: false })]
  await leads(one.replica)
  await one.lines.write('a', 'b', 'c')
  await Promise.all([two.replica.barrier(), wrong.replica.barrier()])
  const told = next(wrong.replica, 'divergence')
  await one.replica.mark()
  await told
  await wrong.stop()
  await one.replica.prune({ keepEntries: 0 })

  const again = await group.start('wrong', { lead: false })
  await again.replica.inSync()
  expect([again.lines.applied, again.lines.texts]).toEqual([[], ['a', 'b', 'c']])
})

test('a replica that was away for long fetches only the chunks that it does not have', async () => {
  const one = await group.start('one')
  await leads(one.replica)
  const two = await group.start('two', { lead: false })
  const texts = numbers(400).map((text) => text.padEnd(40, '.'))
  await Promise.all(texts.map((text) => one.lines.write(text)))
  await two.replica.barrier()
  await two.stop()
  await one.lines.write('one more', 'and another')
  await one.replica.prune({ keepEntries: 0 })

  const again = await group.start('two', { lead: false })
  const report = await next(again.replica, 'caught-up')
  expect(again.lines.applied).toEqual([])
  expect(again.lines.texts).toEqual(one.lines.texts)
  expect(report.bytesFetched).toBeLessThan(texts.join('').length / 10)
})

test('what the group agreed on and is in the file counts as a checkpoint, so the log can be pruned', async () => {
  const dataDir = group.machines.path('data')
  const init = { dataDir, volatile: false, checkpoint: { everyCommands: 10 } }
  const one = await group.start('one', init)
  await leads(one.replica)
  await expect(one.replica.prune({ keepEntries: 0 })).rejects.toMatchObject({ name: 'PruneRefused' })
  const written = next(one.replica, 'checkpoint')
  await one.lines.write(...numbers(12))
  expect(await written).toMatchObject({ type: 'written', bytes: 0 })
  const upTo = await one.replica.prune({ keepEntries: 0 })
  expect(upTo).toBeGreaterThan(0)
  await one.stop()
  expect(await readdir(join(dataDir, 'checkpoints'), { recursive: true })).toEqual(['chunks'])

  const again = await group.start('one', init)
  await again.replica.inSync()
  expect(again.lines.texts).toEqual(numbers(12))
  await leads(again.replica)
  // It knows what it holds without having it agreed on anew.
  expect(await again.replica.prune({ keepEntries: 0 })).toBeGreaterThanOrEqual(0)
})

test('the example does what it says', async () => {
  const said: string[] = []
  await main(group.machines.path('accounts'), (line) => void said.push(line))
  const balances = JSON.stringify([
    { id: 'ann', cents: 300 },
    { id: 'bob', cents: 200 },
  ])
  expect(said).toEqual([
    'the command was undone: CHECK constraint failed: cents >= 0',
    `first: ${balances}`,
    `second: ${balances}`,
  ])
})
