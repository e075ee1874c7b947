import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type KeyAction, networkKey, networkOf } from '../../src/cli/commands/network-key.ts'
import type { Context } from '../../src/cli/context.ts'
import { networkKeysIn } from '../../src/replica/node/network-key.ts'

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'anchorage-key-'))
  path = join(folder, 'network.key')
})
afterEach(() => rm(folder, { recursive: true }))

/** The names of keys that the command tells. */
async function keys(action: KeyAction = 'make'): Promise<string[]> {
  const told: { keys: string[] }[] = []
  const output = { result: (value: { keys: string[] }) => told.push(value) }
  await networkKey({ output } as unknown as Context, path, action)
  return told[0]!.keys
}

const inFile = async () => networkKeysIn(await readFile(path)).map(({ fingerprint }) => fingerprint)

test('a key is rotated in two steps: both keys with the new one first, then the new one alone', async () => {
  const [old] = await keys()
  const both = await keys('rotate')
  expect(both).toEqual([expect.not.stringMatching(old!), old])
  expect(await inFile()).toEqual(both)
  expect(await keys('show')).toEqual(both)
  const { networkKey: content } = await networkOf({ networkKey: path } as Context)
  expect(networkKeysIn(content)).toHaveLength(2)
  expect(await keys('retire')).toEqual(both.slice(0, 1))
  expect(await inFile()).toEqual(both.slice(0, 1))
  expect((await stat(path)).mode & 0o777).toBe(0o600)
  expect(await readdir(folder)).toEqual(['network.key'])
})

test('what would lose a key that is in use is refused, and changes nothing', async () => {
  await keys()
  const before = await readFile(path)
  await expect(keys()).rejects.toThrow('is there already')
  await expect(keys('retire')).rejects.toThrow('there is none to retire')
  expect(await readFile(path)).toEqual(before)
  await keys('rotate')
  const both = await readFile(path)
  await expect(keys('rotate')).rejects.toThrow('holds two keys already')
  expect(await readFile(path)).toEqual(both)
})

test('a file that is not there, or holds something else, is told', async () => {
  await expect(keys('rotate')).rejects.toThrow(`${path} cannot be read`)
  await writeFile(path, 'secret')
  await expect(keys('rotate')).rejects.toThrow('is no key as `anchorage network-key` makes one')
})
