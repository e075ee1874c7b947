import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { chunkName } from '../../src/checkpoint/chunk-file.ts'
import { chunksNamedIn } from '../../src/checkpoint/file.ts'
import type { Storage } from '../../src/checkpoint/storage.ts'
import { CheckpointStore } from '../../src/checkpoint/store.ts'
import { itemsOf } from '../../src/snapshot/chunk.ts'
import { cut } from '../../src/snapshot/cut.ts'
import { CutSnapshot } from '../../src/snapshot/cut-snapshot.ts'
import { zstdCoder } from '../../src/snapshot/encoding.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { systemClock } from '../../src/time/clock.ts'
import { ItemSnapshot, numberedItems } from '../snapshot/item-snapshot.ts'
import { beforeDeath, Machine } from './places.ts'

type Deed =
  /** A state is written, or its chunks are kept as a download does. Calls end it before they are done. */
  | { readonly do: 'write' | 'keep'; readonly state: number; readonly room: number | undefined }
  | { readonly do: 'clear' | 'power loss' | 'restart' }
  | { readonly do: 'power loss in a write'; readonly state: number; readonly calls: number }

const DIRECTORY = '/a/checkpoints'
const CONTROL = Buffer.from('control')
const { signal } = new AbortController()

/** States that have most of their chunks in common: in each, some neighbours are other ones. */
const STATES = Array.from({ length: 4 }, (_, n) => {
  const items = numberedItems(60, 20)
  return items.with(n * 15, Buffer.from(`another item ${n}`)).map(String)
})

const state = fc.integer({ min: 0, max: STATES.length - 1 })
const room = fc.option(fc.integer({ min: 0, max: 900 }), { nil: undefined })
const deeds: fc.Arbitrary<Deed[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constantFrom('write' as const, 'write' as const, 'keep' as const), state, room }),
    fc.record({ do: fc.constantFrom('clear' as const, 'power loss' as const, 'restart' as const) }),
    fc.record({
      do: fc.constant('power loss in a write' as const),
      state,
      calls: fc.integer({ min: 1, max: 40 }),
    }),
  ),
  { minLength: 1, maxLength: 12 },
)

/** A store on a machine whose power may go, and what it was told to hold. */
class Both {
  readonly #machine: Machine
  #storage: Storage
  #store!: CheckpointStore
  #skipped = 0
  /** The state of each checkpoint that may be there, by its index. */
  readonly #written = new Map<number, number>()
  #newest = 0
  #told = 0

  constructor(seed: number) {
    this.#machine = new Machine(seed)
    this.#storage = this.#machine.start()
  }

  /** What it loads is what was written, and no older than what was told. */
  async start(storage = this.#machine.start()): Promise<void> {
    this.#storage = storage
    await storage.makeDirectory(DIRECTORY, 0o700)
    this.#store = await CheckpointStore.open({
      directory: DIRECTORY,
      storage,
      group: 'g',
      signatures: ['s'],
      epoch: 'e',
      clock: systemClock,
      coder: zstdCoder,
      keep: 2,
      onEvent: ({ type }) => {
        if (type === 'skipped') this.#skipped++
      },
    })
    const items: string[] = []
    const builder = {
      add: async (chunk: Uint8Array, count: number) => {
        for (const item of itemsOf(chunk, count)) items.push(Buffer.from(item).toString())
      },
      commit: () => {},
    }
    const position = await this.#store.load(() => builder, signal)
    const index = position?.index ?? 0
    expect(index).toBeGreaterThanOrEqual(this.#told)
    expect(this.#skipped).toBe(0)
    if (position !== undefined) expect(items).toEqual(STATES[this.#written.get(index)!])
    this.#told = index
  }

  async do(deed: Deed): Promise<void> {
    switch (deed.do) {
      case 'write':
      case 'keep':
        if (deed.room !== undefined) this.#machine.disk.fill(deed.room)
        await (deed.do === 'write' ? this.#write(deed.state) : this.#keep(deed.state))
        return this.#machine.disk.mend()
      case 'clear':
        return this.#store.chunks.clear()
      case 'power loss':
        this.#machine.disk.powerLoss()
        return await this.start()
      case 'restart':
        await this.#store.close()
        return await this.start()
      case 'power loss in a write': {
        await this.#store.close()
        const life = new Life(this.#machine.world, 'a#writes')
        life.onDeath(() => this.#machine.disk.powerLoss())
        life.killAtCall(deed.calls)
        const storage = this.#machine.disk.storageFor(life)
        await beforeDeath(
          life,
          this.start(storage).then(() => this.#write(deed.state)),
        )
        if (life.isAlive) this.#machine.disk.powerLoss()
        return await this.start()
      }
      default:
        return deed satisfies never
    }
  }

  /** What is on the disk once no download needs anything: what the checkpoints name. */
  async left(): Promise<{ chunks: string[]; named: string[] }> {
    this.#store.chunks.clear()
    await this.#store.close()
    const names = await this.#storage.list(DIRECTORY)
    const lists = names.filter((name) => name.endsWith('.checkpoint'))
    const files = await Promise.all(lists.map((name) => this.#storage.read(join(DIRECTORY, name))))
    return {
      chunks: (await this.#storage.list(join(DIRECTORY, 'chunks'))).sort(),
      named: [...new Set(files.flatMap(chunksNamedIn).map(chunkName))].sort(),
    }
  }

  async #cut(of: number) {
    const into = new CutSnapshot(zstdCoder)
    const items = STATES[of]!.map((item) => Buffer.from(item))
    const options = { control: CONTROL, chunkBytes: 100, clock: systemClock, signal }
    return { into, manifest: await cut(new ItemSnapshot(items), into, options) }
  }

  async #write(of: number): Promise<void> {
    const { into, manifest } = await this.#cut(of)
    const index = ++this.#newest
    this.#written.set(index, of)
    const chunk = (at: number) => into.chunk(at)
    const source = { position: { epoch: 'e', index }, sealed: true, signature: 's', manifest, chunk }
    await this.#store.write(source, signal).then(
      () => {
        this.#told = index
      },
      (error: NodeJS.ErrnoException) => expect(error.code).toBe('ENOSPC'),
    )
  }

  async #keep(of: number): Promise<void> {
    const { into, manifest } = await this.#cut(of)
    for (const [at, { hash }] of manifest.chunks.entries())
      this.#store.chunks.keep(hash, await into.chunk(at))
    await this.#store.chunks.close()
  }
}

test('whatever is written, kept, cut off and lost: what was told of is loaded, and nothing else is left', async () => {
  await fc.assert(
    fc.asyncProperty(deeds, fc.integer({ min: 0, max: 2 ** 31 - 1 }), async (all, seed) => {
      const both = new Both(seed)
      await both.start()
      for (const deed of all) await both.do(deed)
      const { chunks, named } = await both.left()
      expect(chunks).toEqual(named)
      await both.start()
    }),
    { numRuns: 150 },
  )
})
