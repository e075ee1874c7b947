import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { DataDirectory } from '../../src/checkpoint/data-directory.ts'

let parent: string

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'anchorage-data-'))
})
afterEach(() => rm(parent, { recursive: true, force: true }))

test('it is made when it is not there, for its owner only', async () => {
  using data = await DataDirectory.open(join(parent, 'a', 'b'))
  expect((await stat(data.checkpoints)).mode & 0o077).toBe(0)
})

test('one replica at a time', async () => {
  const first = await DataDirectory.open(parent)
  await expect(DataDirectory.open(parent)).rejects.toMatchObject({ name: 'DirectoryInUse' })
  first[Symbol.dispose]()
  using again = await DataDirectory.open(parent)
  expect(again.path).toBe(parent)
})

test('the key is made once, and readable by its owner only', async () => {
  using data = await DataDirectory.open(parent)
  const key = await data.identity()
  expect((await data.identity()).equals(key)).toBe(true)
  expect((await stat(join(parent, 'identity.key'))).mode & 0o777).toBe(0o600)
})

test('a key file that holds no key is refused, and kept', async () => {
  using data = await DataDirectory.open(parent)
  await writeFile(join(parent, 'identity.key'), 'nonsense')
  await expect(data.identity()).rejects.toMatchObject({ name: 'DirectoryUnusable' })
  await stat(join(parent, 'identity.key'))
})

test('a path that is a file, or below one, is refused', async () => {
  const path = join(parent, 'file')
  await writeFile(path, '')
  await expect(DataDirectory.open(path)).rejects.toMatchObject({ name: 'DirectoryUnusable' })
  await expect(DataDirectory.open(join(path, 'below'))).rejects.toMatchObject({ name: 'DirectoryUnusable' })
})

test.skipIf(!existsSync('/proc/self'))(
  'where a file system makes no directories, it is refused',
  async () => {
    // Node's own recursive mkdir spins there for ever.
    for (const path of ['/proc/anchorage', '/proc/anchorage/a/b']) {
      await expect(DataDirectory.open(path)).rejects.toMatchObject({ name: 'DirectoryUnusable' })
    }
  },
)

test('one with a relative path stays where it is when the process goes elsewhere', () => {
  const source = new URL('../../src/checkpoint/data-directory.ts', import.meta.url).href
  const program = `
    const { DataDirectory } = await import(${JSON.stringify(source)})
    const data = await DataDirectory.open('data')
    process.chdir('/')
    await data.identity()
    data[Symbol.dispose]()`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: parent,
    encoding: 'utf8',
  })
  expect([status, stderr]).toEqual([0, expect.not.stringContaining('Error')])
  expect(existsSync(join(parent, 'data', 'identity.key'))).toBe(true)
})
