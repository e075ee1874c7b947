import { beforeEach, describe, expect, test } from 'vitest'
import type { Storage } from '../../src/checkpoint/storage.ts'
import { SimulatedDisk } from '../../src/testing/simulation/disk.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { World } from '../../src/testing/simulation/world.ts'

const BYTES = Buffer.from('some bytes')
const SEEDS = Array.from({ length: 60 }, (_, seed) => seed)

let world: World
let disk: SimulatedDisk
let life: Life
let storage: Storage

beforeEach(() => begin(1))

function begin(seed: number): void {
  world = new World(seed)
  disk = new SimulatedDisk(world, 'a')
  disk.provision('/d/there', BYTES)
  start()
}

/** The next process. */
function start(): void {
  life = new Life(world, 'a#1')
  storage = disk.storageFor(life)
}

/** What a file holds, as text. */
const text = (path: string) => {
  const bytes = disk.peek(path)
  return bytes && Buffer.from(bytes).toString()
}

const notes = () => world.trace.timeline().map(({ what }) => what)

describe('a loss of power', () => {
  /** What is left, in words, over all seeds. */
  async function outcomes(deed: () => Promise<unknown>, seen: () => string | undefined) {
    const found = new Set<string | undefined>()
    for (const seed of SEEDS) {
      begin(seed)
      await deed()
      disk.powerLoss()
      found.add(seen())
    }
    return found
  }

  test('leaves what was flushed, and the process is dead', async () => {
    const deed = async () => {
      await storage.write('/d/file', BYTES, { flush: true })
      await storage.flushDirectory('/d')
    }
    expect(await outcomes(deed, () => `${text('/d/file')}, ${life.isAlive}`)).toEqual(
      new Set(['some bytes, false']),
    )
  })

  test('may leave a write that was not flushed, or lose it, or cut it between two sectors', async () => {
    const deed = async () => {
      await storage.write('/d/file', Buffer.alloc(1_300, 'x'))
      await storage.flushDirectory('/d')
    }
    expect(await outcomes(deed, () => String(disk.peek('/d/file')?.length))).toEqual(
      new Set(['0', '512', '1024', '1300']),
    )
  })

  test('may leave a later write, and not one before: there are zeros then', async () => {
    const deed = async () => {
      const file = await storage.create('/d/file')
      await storage.flushDirectory('/d')
      await file.write(Buffer.from('one '), 0)
      await file.write(Buffer.from('two'), 4)
    }
    expect(await outcomes(deed, () => text('/d/file'))).toEqual(
      new Set(['', 'one ', 'one two', '\0\0\0\0two']),
    )
  })

  test('may bring back what was written over', async () => {
    expect(
      await outcomes(
        () => storage.write('/d/there', Buffer.from('new')),
        () => text('/d/there'),
      ),
    ).toEqual(new Set(['some bytes', '', 'new']))
  })

  test('may undo a rename at either name, and never leaves another file there', async () => {
    const deed = async () => {
      await storage.write('/d/there.new', Buffer.from('new'), { flush: true })
      await storage.flushDirectory('/d')
      await storage.rename('/d/there.new', '/d/there')
    }
    const seen = await outcomes(deed, () => `${text('/d/there')}, ${text('/d/there.new')}`)
    expect(seen).toEqual(new Set(['new, undefined', 'some bytes, new', 'new, new', 'some bytes, undefined']))
  })

  test('may undo a removal, until the directory is flushed', async () => {
    const remove = () => storage.remove('/d/there')
    expect(await outcomes(remove, () => text('/d/there'))).toEqual(new Set([undefined, 'some bytes']))
    const removeForGood = async () => {
      await remove()
      await storage.flushDirectory('/d')
    }
    expect(await outcomes(removeForGood, () => text('/d/there'))).toEqual(new Set([undefined]))
  })

  test('may take what a disk said that it had flushed', async () => {
    const deed = async () => {
      disk.lieAboutFlush(true)
      await storage.write('/d/file', BYTES, { flush: true })
      const file = await storage.create('/d/there')
      await file.write(Buffer.from('new'), 0)
      await file.flush()
      await storage.flushDirectory('/d')
    }
    expect(await outcomes(deed, () => text('/d/file'))).toEqual(new Set([undefined, '', 'some bytes']))
    expect(await outcomes(deed, () => text('/d/there'))).toEqual(new Set(['some bytes', '', 'new']))
  })

  test('leaves two files where a rename left two names', async () => {
    for (const seed of SEEDS) {
      begin(seed)
      await storage.rename('/d/there', '/d/moved')
      disk.powerLoss()
      start()
      if (disk.files().length < 2) continue
      await storage.write('/d/there', Buffer.from('another'))
      return expect(text('/d/moved')).toBe('some bytes')
    }
    throw new Error('no seed left both names')
  })
})

describe('faults', () => {
  test('a full disk takes what fits, and has room again when a file is removed', async () => {
    disk.fill(4)
    await expect(storage.write('/d/file', BYTES)).rejects.toMatchObject({ code: 'ENOSPC', path: '/d/file' })
    expect(text('/d/file')).toBe('some')
    await storage.remove('/d/there')
    await storage.write('/d/file', BYTES)
    expect(text('/d/file')).toBe('some bytes')
    const file = await storage.create('/d/parts')
    await file.write(Buffer.from('some'), 0)
    await expect(file.write(Buffer.from(' more'), 4)).rejects.toMatchObject({ code: 'ENOSPC' })
    disk.mend()
    await file.write(Buffer.from(' more'), 4)
    expect(text('/d/parts')).toBe('some more')
  })

  test('a disk that is read-only takes nothing, and gives everything', async () => {
    const file = await storage.create('/d/file')
    disk.readOnly(true)
    const changes = [
      () => storage.write('/d/there', BYTES),
      () => storage.create('/d/there'),
      () => storage.rename('/d/there', '/d/moved'),
      () => storage.remove('/d/there'),
      () => storage.makeDirectory('/d/e', 0o700),
      () => storage.flushDirectory('/d'),
      () => storage.lock('/d/lock'),
      () => file.write(BYTES, 0),
      () => file.flush(),
    ]
    for (const change of changes) await expect(change()).rejects.toMatchObject({ code: 'EROFS' })
    expect(await storage.read('/d/there')).toEqual(BYTES)
    expect(await storage.list('/d')).toEqual(['there', 'file'])
    await storage.makeDirectory('/d', 0o700)
    disk.readOnly(false)
    await storage.remove('/d/there')
  })

  test('a disk fails at reads, at writes or at both, after so many calls', async () => {
    disk.fail('EIO', 1, 'reads')
    await storage.read('/d/there')
    await storage.write('/d/file', BYTES)
    for (const read of [storage.read('/d/there'), storage.list('/d'), storage.open('/d/there')])
      await expect(read).rejects.toMatchObject({ code: 'EIO' })
    disk.fail('EIO', 0, 'writes')
    await storage.read('/d/there')
    await expect(storage.remove('/d/there')).rejects.toMatchObject({ code: 'EIO', syscall: 'unlink' })
    disk.fail('EIO', 0)
    await expect(storage.size('/d/there')).rejects.toMatchObject({ code: 'EIO' })
    await expect(storage.rename('/d/there', '/d/moved')).rejects.toMatchObject({ code: 'EIO' })
    disk.mend()
    expect(await storage.size('/d/there')).toBe(BYTES.length)
    expect(notes()).toContain('unlink of /d/there fails: EIO')
  })

  test('a write that fails leaves a part', async () => {
    const left = new Set<string | undefined>()
    for (const seed of SEEDS) {
      begin(seed)
      disk.fail('EIO', 0)
      await expect(storage.write('/d/file', Buffer.from('abc'))).rejects.toMatchObject({ code: 'EIO' })
      left.add(text('/d/file'))
    }
    expect(left).toEqual(new Set(['', 'a', 'ab', 'abc']))
  })

  test('rot damages one file, in one of three ways', () => {
    const was = Buffer.alloc(6_144, 'x')
    const ways = new Set<string>()
    for (const seed of SEEDS) {
      begin(seed)
      disk.provision('/d/empty', Buffer.alloc(0))
      disk.provision('/d/e/file', was)
      expect(disk.rot({ under: '/d/e' })).toBe('/d/e/file')
      const is = Buffer.from(disk.peek('/d/e/file')!)
      const damaged = is.reduce((sum, byte, at) => sum + (byte === was[at] ? 0 : 1), 0)
      if (is.length < was.length) ways.add(`cut, and then ${damaged}`)
      else ways.add(`${damaged} bytes, ${is.includes(0)}`)
      expect(text('/d/there')).toBe('some bytes')
    }
    expect(ways).toEqual(
      new Set(['cut, and then 0', '1 bytes, false', '4096 bytes, true', '2048 bytes, true']),
    )
  })

  test('rot comes to any file that has bytes, and to none where there is none', () => {
    const files = new Set<string | undefined>()
    for (const seed of SEEDS) {
      begin(seed)
      disk.provision('/d/empty', Buffer.alloc(0))
      disk.provision('/d/other', BYTES)
      files.add(disk.rot())
    }
    expect(files).toEqual(new Set(['/d/there', '/d/other']))
    expect(disk.rot({ under: '/d/oth' })).toBeUndefined()
    disk.wipe()
    expect(disk.rot()).toBeUndefined()
  })
})

describe('what an operator does', () => {
  test('a disk that is wiped has nothing, and a lock on it is gone', async () => {
    await storage.lock('/d/lock')
    disk.wipe()
    expect(disk.files()).toEqual([])
    await expect(storage.list('/d')).rejects.toMatchObject({ code: 'ENOENT' })
    await storage.makeDirectory('/d', 0o700)
    expect(await storage.lock('/d/lock')).toBeDefined()
  })

  test('what is put back is what was there then, and lasts', async () => {
    await storage.makeDirectory('/d/e', 0o700)
    const before = disk.snapshot()
    await storage.write('/d/there', Buffer.from('new'))
    await storage.write('/d/file', BYTES)
    disk.restore(before)
    expect(disk.files()).toEqual([{ path: '/d/there', bytes: BYTES.length }])
    await storage.write('/d/e/file', BYTES)
    disk.restore(before)
    disk.powerLoss()
    start()
    expect([text('/d/there'), await storage.list('/d/e')]).toEqual(['some bytes', []])
  })

  test('a copy has all of the other disk, and goes its own way', async () => {
    const other = new SimulatedDisk(world, 'b')
    other.provision('/d/only/here', BYTES)
    other.copyFrom(disk)
    await storage.write('/d/there', Buffer.from('new'))
    expect(other.files()).toEqual([{ path: '/d/there', bytes: BYTES.length }])
    expect(Buffer.from(other.peek('/d/there')!)).toEqual(BYTES)
  })

  test('nobody changes a file through what was read from it', async () => {
    const read = [await storage.read('/d/there'), disk.peek('/d/there')!]
    for (const bytes of read) bytes[0] = 0
    expect(text('/d/there')).toBe('some bytes')
  })
})

describe('locks', () => {
  test('one ends with the process that holds it', async () => {
    expect(await storage.lock('/d/lock')).toBeDefined()
    const other = disk.storageFor(new Life(world, 'a#2'))
    expect(await other.lock('/d/lock')).toBeUndefined()
    life.pause()
    expect(await other.lock('/d/lock')).toBeUndefined()
    life.kill()
    expect(await other.lock('/d/lock')).toBeDefined()
  })

  test('one that has ended does not end the next one', async () => {
    const first = await storage.lock('/d/lock')
    first![Symbol.dispose]()
    await storage.lock('/d/lock')
    first![Symbol.dispose]()
    expect(await storage.lock('/d/lock')).toBeUndefined()
  })
})

describe('a process that dies', () => {
  test('does nothing from the call on that it dies at', async () => {
    life.killAtCall(3)
    const done: string[] = []
    const work = async () => {
      for (const name of ['one', 'two', 'three', 'four']) {
        await storage.write(`/d/${name}`, BYTES)
        done.push(name)
      }
    }
    void work()
    void world.schedule(1, () => {})
    await world.step(1)
    expect([life.isAlive, done]).toEqual([false, ['one', 'two']])
    expect(disk.files().map(({ path }) => path)).toEqual(['/d/there', '/d/one', '/d/two'])
  })

  test('has what it had under way done, in part or not at all, and nothing later', async () => {
    const left = new Set<string | undefined>()
    for (const seed of SEEDS) {
      begin(seed)
      disk.setLatency(10)
      void storage.write('/d/file', Buffer.from('abc'))
      life.kill()
      left.add(text('/d/file'))
      const { files } = disk.snapshot()
      while (await world.step(1_000));
      expect(disk.snapshot().files).toEqual(files)
    }
    expect(left).toEqual(new Set([undefined, '', 'a', 'ab', 'abc']))
  })

  test('has nothing under way after a loss of power', async () => {
    disk.setLatency(10)
    const writes = ['one', 'two', 'three'].map((name) => storage.write(`/d/${name}`, BYTES))
    disk.powerLoss()
    const { files } = disk.snapshot()
    while (await world.step(1_000));
    expect(disk.snapshot().files).toEqual(files)
    expect(await Promise.race([...writes, Promise.resolve('none')])).toBe('none')
  })
})

test('a call takes time where the disk is slow, and calls at one time end in any order', async () => {
  disk.setLatency(20)
  const ended: { name: number; atMs: number }[] = []
  for (let name = 0; name < 8; name++)
    void storage.write(`/d/${name}`, BYTES).then(() => ended.push({ name, atMs: world.nowMs }))
  expect(disk.files()).toHaveLength(1)
  while (await world.step(1_000));
  expect(ended.every(({ atMs }) => atMs >= 10 && atMs <= 30)).toBe(true)
  expect(ended.map(({ name }) => name)).not.toEqual([0, 1, 2, 3, 4, 5, 6, 7])
})

test('the same seed does the same, and another one does not', async () => {
  async function run(seed: number) {
    begin(seed)
    disk.setLatency(5)
    for (let n = 0; n < 8; n++) void storage.write(`/d/${n}`, Buffer.alloc(2_000, n))
    for (let n = 0; n < 6; n++) await world.step(1_000)
    disk.powerLoss()
    disk.rot()
    return { hash: world.trace.hash, files: disk.snapshot().files }
  }
  const first = await run(7)
  expect(await run(7)).toEqual(first)
  expect((await run(8)).hash).not.toBe(first.hash)
})
