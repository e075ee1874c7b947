import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Belonging, checkpointName, checkpointsAmong, epochTag } from '../../src/checkpoint/belonging.ts'
import { writeCheckpoint } from '../../src/checkpoint/file.ts'
import { LogMissing } from '../../src/log/errors.ts'
import { makeManifest } from '../../src/snapshot/manifest.ts'
import { Machine, PLACES, type Place, simulated } from './places.ts'

const { signal } = new AbortController()

test('checkpoints are told by their names, the newest first', () => {
  const names = [checkpointName(7, epochTag('e')), checkpointName(12, epochTag('f')), 'notes', 'x.checkpoint']
  expect(checkpointsAmong(names)).toMatchObject([
    { index: 12, tag: epochTag('f') },
    { index: 7, tag: epochTag('e') },
  ])
})

describe.each(PLACES)('on $on', ({ make }) => {
  let place: Place
  let belonging: Belonging

  beforeEach(async () => {
    place = await make()
    belonging = new Belonging(place.directory, join(place.directory, 'checkpoints'), place.storage)
    await place.storage.makeDirectory(join(place.directory, 'checkpoints'), 0o700)
  })
  afterEach(() => place[Symbol.asyncDispose]())

  async function write(epoch: string, index: number): Promise<void> {
    const path = join(place.directory, 'checkpoints', checkpointName(index, epochTag(epoch)))
    const of = { group: 'g', signature: 's', position: { epoch, index }, sealed: true }
    const manifest = makeManifest(Buffer.from('control'), [])
    const chunk = () => Promise.reject(new RangeError('there is no chunk'))
    await writeCheckpoint(path, place.storage, { ...of, manifest, chunk }, signal)
  }

  test('one without a checkpoint goes with any log', async () => {
    expect(await belonging.holdsState()).toBe(false)
    await belonging.assert('e')
    await belonging.assert(new LogMissing('a place'))
  })

  test('one with checkpoints goes with their log only', async () => {
    await write('e', 7)
    expect(await belonging.holdsState()).toBe(true)
    await belonging.assert('e')
    const held = { index: 7, of: { group: 'g', epoch: 'e', items: 0 } }
    await expect(belonging.assert('f')).rejects.toMatchObject({
      name: 'DirectoryOfAnotherLog',
      epoch: 'f',
      held,
    })
    await expect(belonging.assert(new LogMissing('a place'))).rejects.toMatchObject({
      epoch: undefined,
      held,
    })
  })

  test('one that is told to goes with another log', async () => {
    await write('e', 7)
    await belonging.tell('f')
    await belonging.assert('f')
    await expect(belonging.assert('g')).rejects.toMatchObject({ name: 'DirectoryOfAnotherLog' })
    expect(await place.storage.list(place.directory)).not.toContain('epoch.new')
  })

  test('a damaged checkpoint is told by its name', async () => {
    const name = checkpointName(7, epochTag('e'))
    await place.storage.write(join(place.directory, 'checkpoints', name), Buffer.from('torn'))
    await expect(belonging.assert('f')).rejects.toMatchObject({ held: { index: 7 } })
  })
})

test('what it was told outlives a loss of power', async () => {
  for (let seed = 0; seed < 40; seed++) {
    const machine = new Machine(seed)
    const { directory, storage } = await simulated(machine)
    const checkpoints = join(directory, 'checkpoints')
    await storage.makeDirectory(checkpoints, 0o700)
    await storage.write(join(checkpoints, checkpointName(7, epochTag('e'))), Buffer.from('rotten'))
    await storage.flushDirectory(checkpoints)
    await new Belonging(directory, checkpoints, storage).tell('f')
    machine.disk.powerLoss()
    await new Belonging(directory, checkpoints, machine.start()).assert('f')
  }
})
