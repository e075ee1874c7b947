import { existsSync } from 'node:fs'
import { beforeEach, expect, test } from 'vitest'
import { memoryLog } from '../../src/log/memory.ts'
import { type MapResult, ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Position } from '../../src/position.ts'
import type { ReplicaInit } from '../../src/replica/init.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplicaOn } from '../../src/replica/start.ts'
import { Machine } from '../checkpoint/places.ts'
import { next } from './cluster.ts'

/** Where no directory is, on the disk of this machine. */
const dataDir = '/anchorage-in-memory/replica'

let machine: Machine
let log: ReturnType<typeof memoryLog>

beforeEach(() => {
  machine = new Machine()
  log = memoryLog({ epoch: 'e' })
})

function start(map: ReplicatedMap, init: Partial<ReplicaInit<MapResult>> = {}): Promise<Replica<MapResult>> {
  return createReplicaOn({ storage: machine.start() }, { group: 'g', log, dataDir, ...init, machine: map })
}

async function fill(map: ReplicatedMap, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await map.set(`key-${n}`, n)
}

/** Resolves with the position of the next checkpoint that is written, or loaded. */
async function checkpoint(replica: Replica<MapResult>, type: 'written' | 'loaded'): Promise<Position> {
  for (;;) {
    const event = await next(replica, 'checkpoint')
    if (event.type === type && 'position' in event) return event.position
  }
}

test('a data directory on another storage brings back identity and state, and no file is made', async () => {
  const map = new ReplicatedMap()
  const first = await start(map)
  await first.inSync()
  await fill(map, 6)
  const { position } = first
  await first.stop()
  const again = new ReplicatedMap()
  await using second = await start(again)
  expect(await checkpoint(second, 'loaded')).toEqual(position)
  await second.inSync()
  expect([second.id, [...again]]).toEqual([first.id, [...map]])
  expect(existsSync('/anchorage-in-memory')).toBe(false)
})

test('a checkpoint that was told of outlives a loss of power', async () => {
  const map = new ReplicatedMap()
  const first = await start(map, { checkpoint: { everyCommands: 5, onStop: false } })
  await first.inSync()
  const written = checkpoint(first, 'written')
  await fill(map, 10)
  const position = await written
  await first.stop()
  machine.disk.powerLoss()
  const again = new ReplicatedMap()
  await using second = await start(again, { checkpoint: { onStop: false } })
  expect(await checkpoint(second, 'loaded')).toEqual(position)
  await second.inSync()
  expect([...again]).toEqual([...map])
})

test('a full disk is a problem, and not the end of a replica', async () => {
  const map = new ReplicatedMap()
  await using replica = await start(map, { checkpoint: { everyCommands: 5 } })
  await replica.inSync()
  machine.disk.fill(0)
  const problem = next(replica, 'problem')
  await fill(map, 10)
  expect(await problem).toMatchObject({ code: 'ENOSPC' })
  machine.disk.mend()
  await fill(map, 12)
  expect(map.size).toBe(12)
})
