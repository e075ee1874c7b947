import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { beforeAll, expect, test } from 'vitest'
import { type MapResult, ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Position } from '../../src/position.ts'
import type { ReplicaEvents } from '../../src/replica/events.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplicaOn } from '../../src/replica/start.ts'
import { syncCoder } from '../../src/testing/simulation/coder.ts'
import { SimulatedDisk } from '../../src/testing/simulation/disk.ts'
import { keyBytes, prepareKeys } from '../../src/testing/simulation/keys.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { LifeClock } from '../../src/testing/simulation/life-clock.ts'
import { SimulatedLog } from '../../src/testing/simulation/log.ts'
import { SimulatedNetwork } from '../../src/testing/simulation/network.ts'
import { World } from '../../src/testing/simulation/world.ts'
import { systemClock } from '../../src/time/clock.ts'

const WALL_MS = Date.UTC(2026, 0, 1)
const SEEDS = 40

beforeAll(() => prepareKeys(1))

/** A group of one real replica, on a machine whose power may go. */
class Alone {
  readonly world: World
  readonly disk: SimulatedDisk
  readonly #network: SimulatedNetwork
  readonly #log: SimulatedLog
  readonly events: ReplicaEvents['checkpoint']['detail'][] = []
  map = new ReplicatedMap<string, number>()
  replica: Replica<MapResult> | undefined
  #lives = 0

  constructor(seed: number) {
    this.world = new World(seed)
    this.disk = new SimulatedDisk(this.world, 'a')
    this.disk.setLatency(2)
    this.disk.provision('/data/identity.key', keyBytes(0))
    this.#network = new SimulatedNetwork(this.world)
    this.#log = new SimulatedLog(this.world, { kind: 'service', stampBy: () => this.#wallMs })
  }

  get #wallMs(): number {
    return WALL_MS + this.world.nowMs
  }

  start(): void {
    const life = new Life(this.world, `a#${++this.#lives}`)
    this.map = new ReplicatedMap()
    this.replica = undefined
    this.events.length = 0
    void createReplicaOn(
      {
        network: (key) => this.#network.join(life, peerIdFromPrivateKey(key).toString(), 'a'),
        storage: this.disk.storageFor(life),
        processName: life.name,
        coder: syncCoder,
      },
      {
        group: 'g',
        machine: this.map,
        log: this.#log.backendFor(life, 'a'),
        clock: new LifeClock(life, { wallMs: () => this.#wallMs }),
        random: this.world.chance(life.name).next,
        dataDir: '/data',
        checkpoint: { everyCommands: 5 },
      },
    ).then((replica) => {
      replica.addEventListener('checkpoint', ({ detail }) => this.events.push(detail))
      this.replica = replica
    })
  }

  /** The position of the newest checkpoint that it told of so. */
  told(how: 'written' | 'loaded'): Position | undefined {
    const event = this.events.findLast(({ type }) => type === how)
    return event !== undefined && 'position' in event ? event.position : undefined
  }

  /** A checkpoint is being written: its chunks, or then the list of them. */
  get writing(): 'chunks' | 'list' | undefined {
    const drafts = this.disk.files().filter(({ path }) => path.endsWith('.new'))
    if (drafts.length === 0) return undefined
    return drafts.some(({ path }) => path.endsWith('.checkpoint.new')) ? 'list' : 'chunks'
  }

  async until(done: () => boolean): Promise<void> {
    // What a start leads to at once has happened then.
    await systemClock.turn()
    while (!done()) expect(await this.world.step(120_000), 'nothing happens any more').toBe(true)
  }
}

test('a replica whose machine loses its power loads the checkpoint that it told of last, or a newer one', async () => {
  const loads = new Set<string>()
  for (let seed = 0; seed < SEEDS; seed++) {
    const alone = new Alone(seed)
    alone.start()
    await alone.until(() => alone.replica?.state === 'in-sync')
    const acknowledged = new Map<string, number>()
    let n = 0
    const write = () => {
      for (let more = 0; more < 7; more++) {
        const [key, value] = [`key-${n % 10}`, n++]
        void alone.map.set(key, value).then(() => acknowledged.set(key, value))
      }
    }
    write()
    await alone.until(() => alone.told('written') !== undefined)
    write()
    const chance = alone.world.chance('test')
    const half = chance.pick(['chunks', 'list'])
    await alone.until(() => alone.writing === half)
    // Somewhere in the middle, or right when it has its name, which may not last yet.
    let steps = chance.pick([chance.integer(0, 12), 1_000])
    await alone.until(() => alone.writing !== half || steps-- === 0)
    const told = alone.told('written')!
    alone.disk.powerLoss()

    alone.start()
    await alone.until(() => alone.events.length > 0)
    const loaded = alone.told('loaded')!
    expect(loaded.index).toBeGreaterThanOrEqual(told.index)
    loads.add(`${loaded.index > told.index ? 'newer than' : 'the one'} told`)
    await alone.until(() => alone.replica?.state === 'in-sync')
    expect(acknowledged.size).toBeGreaterThan(0)
    for (const [key, value] of acknowledged) expect(alone.map.get(key)).toBeGreaterThanOrEqual(value)
  }
  expect([...loads].sort()).toEqual(['newer than told', 'the one told'])
})
