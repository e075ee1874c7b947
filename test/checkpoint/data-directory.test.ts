import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DataDirectory } from '../../src/checkpoint/data-directory.ts'
import { fileStorage } from '../../src/checkpoint/file-storage.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { beforeDeath, Machine, onDisk, PLACES, type Place, simulated } from './places.ts'

describe.each(PLACES)('on $on', ({ make }) => {
  let place: Place
  let parent: string

  beforeEach(async () => {
    place = await make()
    parent = place.directory
  })
  afterEach(() => place[Symbol.asyncDispose]())

  const open = (path = parent) => DataDirectory.open(path, place.storage)

  test('it is made when it is not there', async () => {
    using data = await open(join(parent, 'a', 'b'))
    expect(await place.storage.list(data.checkpoints)).toEqual([])
  })

  test('one replica at a time', async () => {
    const first = await open()
    await expect(open()).rejects.toMatchObject({ name: 'DirectoryInUse' })
    first[Symbol.dispose]()
    using again = await open()
    expect(again.path).toBe(parent)
  })

  test('the key is made once', async () => {
    using data = await open()
    const key = await data.identity()
    expect((await data.identity()).equals(key)).toBe(true)
  })

  test('a key file that holds no key is refused, and kept', async () => {
    using data = await open()
    await place.storage.write(join(parent, 'identity.key'), Buffer.from('nonsense'))
    await expect(data.identity()).rejects.toMatchObject({ name: 'DirectoryUnusable' })
    expect(await place.storage.list(parent)).toContain('identity.key')
  })

  test('a key file with a rotten byte is refused, whichever half of the key it is in', async () => {
    using data = await open()
    await data.identity()
    const path = join(parent, 'identity.key')
    const sound = (await place.storage.read(path))!
    for (const at of [4, 35, 36, sound.length - 1]) {
      await place.storage.write(
        path,
        Uint8Array.from(sound, (byte, i) => (i === at ? byte ^ 1 : byte)),
      )
      await expect(data.identity(), `byte ${at}`).rejects.toMatchObject({ name: 'DirectoryUnusable' })
    }
  })

  test('a path that is a file, or below one, is refused', async () => {
    const path = join(parent, 'file')
    await place.storage.write(path, Buffer.alloc(0))
    await expect(open(path)).rejects.toMatchObject({ name: 'DirectoryUnusable' })
    await expect(open(join(path, 'below'))).rejects.toMatchObject({ name: 'DirectoryUnusable' })
  })
})

test('it is for its owner only, and so is the key', async () => {
  await using place = await onDisk()
  const { directory, storage } = place
  using data = await DataDirectory.open(join(directory, 'a', 'b'), storage)
  expect((await stat(data.checkpoints)).mode & 0o077).toBe(0)
  // The key does not take its permissions from what a crash left.
  await storage.write(join(data.path, 'identity.key.new'), Buffer.from('half'))
  await chmod(join(data.path, 'identity.key.new'), 0o644)
  await data.identity()
  expect((await stat(join(data.path, 'identity.key'))).mode & 0o777).toBe(0o600)
})

test('a key that the disk has no room for is no key, and made later', async () => {
  const machine = new Machine()
  const { directory, storage } = await simulated(machine)
  using data = await DataDirectory.open(directory, storage)
  machine.disk.fill(0)
  await expect(data.identity()).rejects.toMatchObject({
    name: 'DirectoryUnusable',
    message: expect.stringMatching(/identity\.key cannot be written: .*ENOSPC/),
    cause: { code: 'ENOSPC' },
  })
  machine.disk.mend()
  const key = await data.identity()
  expect((await data.identity()).equals(key)).toBe(true)
})

test('a key that was told outlives a loss of power', async () => {
  for (let seed = 0; seed < 40; seed++) {
    const machine = new Machine(seed)
    const { directory, storage } = await simulated(machine)
    const key = await (await DataDirectory.open(directory, storage)).identity()
    machine.disk.powerLoss()
    using again = await DataDirectory.open(directory, machine.start())
    expect((await again.identity()).equals(key)).toBe(true)
  }
})

test('whichever call a loss of power comes at, there is one key afterwards', async () => {
  for (let calls = 1; calls < 20; calls++) {
    const machine = new Machine(calls)
    const { directory } = await simulated(machine)
    const life = new Life(machine.world, 'a#9')
    life.killAtCall(calls)
    const opened = DataDirectory.open(directory, machine.disk.storageFor(life))
    const key = await beforeDeath(
      life,
      opened.then((data) => data.identity()),
    )
    machine.disk.powerLoss()
    using again = await DataDirectory.open(directory, machine.start())
    const kept = await again.identity()
    expect(kept.equals(await again.identity())).toBe(true)
    if (key !== undefined) return expect(kept.equals(key)).toBe(true)
  }
  throw new Error('no key was made in 20 calls')
})

test.skipIf(!existsSync('/proc/self'))(
  'where a file system makes no directories, it is refused',
  async () => {
    // Node's own recursive mkdir spins there for ever.
    for (const path of ['/proc/anchorage', '/proc/anchorage/a/b']) {
      await expect(DataDirectory.open(path, fileStorage)).rejects.toMatchObject({ name: 'DirectoryUnusable' })
    }
  },
)

test('one with a relative path stays where it is when the process goes elsewhere', async () => {
  await using place = await onDisk()
  const source = (file: string) =>
    JSON.stringify(new URL(`../../src/checkpoint/${file}`, import.meta.url).href)
  const program = `
    const { DataDirectory } = await import(${source('data-directory.ts')})
    const { fileStorage } = await import(${source('file-storage.ts')})
    const data = await DataDirectory.open('data', fileStorage)
    process.chdir('/')
    await data.identity()
    data[Symbol.dispose]()`
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    cwd: place.directory,
    encoding: 'utf8',
  })
  expect([status, stderr]).toEqual([0, expect.not.stringContaining('Error')])
  expect(existsSync(join(place.directory, 'data', 'identity.key'))).toBe(true)
})
