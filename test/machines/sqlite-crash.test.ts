import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type FileCalls, StateFiles, systemCalls } from '../../src/machines/sqlite/state-files.ts'
import { Child } from '../log/child.ts'
import { install, itemsIn, run, SqliteMachines } from './sqlite-machines.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'anchorage-sqlite-crash-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a process that is killed in the middle goes on where its writes were acknowledged, and counts each once', async () => {
  let acknowledged = 0
  for (let life = 0; life < 4; life++) {
    using child = new Child('../machines/sqlite-process.ts', folder)
    const has = await child.line()
    const numbers = has!.slice('has '.length).split(',').filter(Boolean).map(Number)
    expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, n) => n + 1))
    // A write may be in the log without its process having heard so.
    expect(numbers.length).toBeGreaterThanOrEqual(acknowledged)
    for (let writes = 0; writes < 30 * (life + 1); writes++) {
      const [, number, row] = /^wrote (\d+) as row (\d+)$/.exec((await child.line())!)!
      expect(row).toBe(number)
      acknowledged = Number(number)
    }
    child.signal('SIGKILL')
    await child.exitCode()
  }
})

describe('an install that ends anywhere', () => {
  /** What the disk surely has: other names may be there, or not. */
  class Disk implements FileCalls {
    readonly calls: string[] = []
    endsAt = Number.POSITIVE_INFINITY

    flush(path: string): void {
      this.#call(`flush ${basename(path)}`)
      systemCalls.flush(path)
    }
    rename(from: string, to: string): void {
      this.#call(`rename ${basename(from)} ${basename(to)}`)
      systemCalls.rename(from, to)
    }
    remove(path: string): void {
      this.#call(`remove ${basename(path)}`)
      systemCalls.remove(path)
    }

    #call(call: string): void {
      if (this.calls.length >= this.endsAt) throw new Error('the power is gone')
      this.calls.push(call)
    }
  }

  test('a new state has its name when it is on the disk, and the old one goes when that name is', () => {
    const disk = new Disk()
    const path = join(folder, 'state')
    mkdirSync(path)
    writeFileSync(join(path, 'state.1.db'), 'old')
    writeFileSync(join(path, 'state.1.db-wal'), 'old')
    using files = new StateFiles(path, disk)
    const draft = files.draft()
    writeFileSync(draft, 'new')
    expect(files.promote(draft)).toBe(join(path, 'state.2.db'))
    files.removeOld()
    expect(disk.calls).toEqual([
      `flush ${basename(draft)}`,
      `rename ${basename(draft)} state.2.db`,
      'flush state',
      'remove state.1.db',
      'remove state.1.db-wal',
    ])
  })

  test.each([0, 1, 2, 3, 4, 5])(
    'after %i of its calls to the disk: one state is there, whole',
    async (endsAt) => {
      using machines = new SqliteMachines()
      const path = machines.path()
      const disk = new Disk()
      const machine = machines.make('CREATE TABLE t (v)', { path }, disk)
      run(machine, 'INSERT INTO t VALUES (?)', 'old')
      machine.durable.commit(Buffer.from('old'))
      const other = machines.make('CREATE TABLE t (v)')
      run(other, 'INSERT INTO t VALUES (?)', 'new')
      const begun = disk.calls.length
      disk.endsAt = begun + endsAt
      const outcome = await install(machine, itemsIn(other), Buffer.from('new')).then(
        () => 'installed',
        (error: Error) => error.message,
      )
      // What it has in its hands is lost with the process.
      const left = join(folder, 'left')
      copyWhatIsThere(path, left)
      const again = machines.make('CREATE TABLE t (v)', { path: left })
      const note = Buffer.from(again.durable.note!).toString()
      expect(again.all('SELECT v FROM t')).toEqual([{ v: note }])
      if (endsAt === 0) expect([outcome, note]).toEqual(['the power is gone', 'old'])
      if (endsAt >= 3) expect(note).toBe('new')
      again.close()
      expect(readdirSync(left).filter((name) => /\.db$|\.new/.test(name))).toHaveLength(1)
    },
  )

  test('leftovers of installs are removed at the next start, and nothing else', () => {
    const path = join(folder, 'state')
    const begin = () => new StateFiles(path)[Symbol.dispose]()
    begin()
    const kept = ['state.12.db', 'state.12.db-wal', 'aside.3.db', 'notes.txt']
    const left = [
      'state.13.1.new',
      'state.13.1.new-journal',
      'state.2.db',
      'state.2.db-shm',
      'state.1.db-wal',
    ]
    for (const name of [...kept, ...left]) writeFileSync(join(path, name), '')
    begin()
    for (const name of kept) expect(existsSync(join(path, name))).toBe(true)
    for (const name of left) expect(existsSync(join(path, name))).toBe(false)
  })
})

/** As a disk has it after the process that wrote it has gone. */
function copyWhatIsThere(from: string, to: string): void {
  mkdirSync(to)
  for (const name of readdirSync(from)) if (name !== 'lock') copyFileSync(join(from, name), join(to, name))
}
