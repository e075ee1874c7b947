import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Storage } from '../../src/checkpoint/storage.ts'
import { onDisk, PLACES, type Place } from './places.ts'

const BYTES = Buffer.from('some bytes')
const SOURCE = new URL('../../src/checkpoint/file-storage.ts', import.meta.url).href

describe.each(PLACES)('on $on', ({ make }) => {
  let place: Place
  let storage: Storage
  let path: string

  beforeEach(async () => {
    place = await make()
    storage = place.storage
    path = join(place.directory, 'file')
  })
  afterEach(() => place[Symbol.asyncDispose]())

  test('what is written is read, listed and measured', async () => {
    await storage.write(path, Buffer.from('something longer that was there before'))
    await storage.write(path, BYTES, { flush: true })
    expect(await storage.read(path)).toEqual(BYTES)
    await storage.flush(path)
    expect(await storage.list(place.directory)).toEqual(['file'])
    expect(await storage.size(path)).toBe(BYTES.length)
  })

  test('a file that is written in parts is read in parts', async () => {
    const written = await storage.create(path)
    await written.write(BYTES.subarray(0, 4), 0)
    await written.write(BYTES.subarray(4), 4)
    await written.flush()
    await written.close()
    const file = await storage.open(path)
    const into = Buffer.alloc(6)
    expect([file.size, await file.read(into, 6), into.toString('utf8', 0, 4)]).toEqual([10, 4, 'ytes'])
    expect(await file.read(into, 10)).toBe(0)
    await file.close()
  })

  test('a file that is open is read although its name is gone', async () => {
    await storage.write(path, BYTES)
    const file = await storage.open(path)
    await storage.remove(path)
    const into = Buffer.alloc(10)
    await file.read(into, 0)
    await file.close()
    expect([into, await storage.list(place.directory)]).toEqual([BYTES, []])
  })

  test('a file takes the place of the one that has its new name', async () => {
    await storage.write(path, Buffer.from('old'))
    await storage.write(`${path}.new`, BYTES)
    await storage.rename(`${path}.new`, path)
    await storage.flushDirectory(place.directory)
    expect([await storage.read(path), await storage.list(place.directory)]).toEqual([BYTES, ['file']])
  })

  test('what is not there is ENOENT, and nothing to remove', async () => {
    const attempts = [
      () => storage.read(path),
      () => storage.open(path),
      () => storage.size(path),
      () => storage.flush(path),
      () => storage.list(path),
      () => storage.rename(path, `${path}.new`),
      () => storage.write(join(path, 'below'), BYTES),
      () => storage.create(join(path, 'below')),
    ]
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: 'ENOENT' })
    await storage.remove(path)
  })

  test('directories are made with those above them, once, and not in place of a file', async () => {
    const below = join(place.directory, 'a', 'b')
    await storage.makeDirectory(below, 0o700)
    await storage.makeDirectory(below, 0o700)
    expect(await storage.list(join(place.directory, 'a'))).toEqual(['b'])
    await storage.write(path, BYTES)
    for (const taken of [path, join(path, 'below')]) {
      await expect(storage.makeDirectory(taken, 0o700)).rejects.toMatchObject({
        code: expect.stringMatching(/EEXIST|ENOTDIR/),
      })
    }
  })

  test('a lock has one holder at a time', async () => {
    const held = await storage.lock(path)
    expect(await storage.lock(path)).toBeUndefined()
    held![Symbol.dispose]()
    const again = await storage.lock(path)
    expect(again).toBeDefined()
    again![Symbol.dispose]()
  })
})

test('on the file system, files are their owner’s only', async () => {
  await using place = await onDisk()
  const { storage, directory } = place
  await storage.write(join(directory, 'whole'), BYTES)
  await (await storage.create(join(directory, 'parts'))).close()
  for (const name of ['whole', 'parts']) {
    expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600)
  }
})

test('on the file system, a directory that was made outlives a loss of power, as does what is in it', async () => {
  await using place = await onDisk()
  const made = join(place.directory, 'data')
  const program = `
    const { fileStorage } = await import(${JSON.stringify(SOURCE)})
    await fileStorage.makeDirectory(${JSON.stringify(join(made, 'a', 'b'))}, 0o700)
    await fileStorage.makeDirectory(${JSON.stringify(made)}, 0o700)`
  const traced = ['--trace-event-categories', 'node.fs.async', '--input-type=module', '-e', program]
  const { status } = spawnSync(process.execPath, traced, { cwd: place.directory, stdio: 'inherit' })
  expect(status).toBe(0)
  const trace = await readFile(join(place.directory, 'node_trace.1.log'), 'utf8')
  const { traceEvents } = JSON.parse(trace) as { traceEvents: { name: string; ph: string }[] }
  // Three are made, each in another one.
  expect(traceEvents.filter(({ name, ph }) => name === 'fsync' && ph === 'b')).toHaveLength(3)
})

/** A program that holds a lock for half a minute. */
const HOLDER = `
  const { fileStorage } = await import(process.env.SOURCE)
  globalThis.held = await fileStorage.lock(process.env.LOCK)
  console.log('held')
  setTimeout(() => {}, 30_000)`

test('on the file system, a lock ends with the process that holds it, however that ends', async () => {
  await using place = await onDisk()
  const path = join(place.directory, 'lock')
  const holder = spawn(process.execPath, ['--input-type=module', '-e', HOLDER], {
    env: { ...process.env, SOURCE, LOCK: path },
  })
  await once(holder.stdout, 'data')
  expect(await place.storage.lock(path)).toBeUndefined()
  holder.kill('SIGKILL')
  await once(holder, 'exit')
  using lock = await place.storage.lock(path)
  expect(lock).toBeDefined()
})

test('on the file system, a lock ends with the thread that holds it', async () => {
  await using place = await onDisk()
  const path = join(place.directory, 'lock')
  const holder = new Worker(new URL(`data:text/javascript,${encodeURIComponent(HOLDER)}`), {
    env: { SOURCE, LOCK: path },
    stdout: true,
  })
  await once(holder.stdout, 'data')
  expect(await place.storage.lock(path)).toBeUndefined()
  await holder.terminate()
  using lock = await place.storage.lock(path)
  expect(lock).toBeDefined()
})
