import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Storage, WritableFile } from '../../src/checkpoint/storage.ts'
import { SimulatedDisk } from '../../src/testing/simulation/disk.ts'
import { Life } from '../../src/testing/simulation/life.ts'
import { World } from '../../src/testing/simulation/world.ts'

const SECTOR = 512
const DIRECTORY = '/d'
const NAMES = ['x', 'y', 'z']

type Deed =
  | { readonly do: 'write'; readonly name: string; readonly bytes: number; readonly flush: boolean }
  | { readonly do: 'create'; readonly name: string }
  | { readonly do: 'add'; readonly name: string; readonly at: number; readonly bytes: number }
  | { readonly do: 'flush' | 'flush by name' | 'remove'; readonly name: string }
  | { readonly do: 'rename'; readonly name: string; readonly to: string }
  | { readonly do: 'flush directory' }

const name = fc.constantFrom(...NAMES)
const bytes = fc.integer({ min: 1, max: 1_600 })
const deeds: fc.Arbitrary<Deed[]> = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('write' as const), name, bytes, flush: fc.boolean() }),
    fc.record({ do: fc.constant('create' as const), name }),
    fc.record({ do: fc.constant('add' as const), name, at: fc.integer({ min: 0, max: 1_600 }), bytes }),
    fc.record({ do: fc.constantFrom('flush' as const, 'flush by name' as const, 'remove' as const), name }),
    fc.record({ do: fc.constant('rename' as const), name, to: name }),
    fc.record({ do: fc.constant('flush directory' as const) }),
  ),
  { minLength: 1, maxLength: 14 },
)

/** What one file may be after a loss of power: each of these, byte for byte. */
class ModelFile {
  now: Buffer = Buffer.alloc(0)
  possible = new Map<string, Buffer>([['', Buffer.alloc(0)]])

  empty(): void {
    if (this.now.length === 0) return
    this.now = Buffer.alloc(0)
    this.#add([this.now])
  }

  /** Whatever the file is by then, this may be in it wholly, or in part, or not. */
  write(written: Buffer, at: number): void {
    const before = [...this.possible.values()]
    this.now = put(this.now, written, at)
    const ends = [at + written.length]
    for (let end = Math.ceil((at + 1) / SECTOR) * SECTOR; end < at + written.length; end += SECTOR)
      ends.push(end)
    for (const end of ends) this.#add(before.map((image) => put(image, written.subarray(0, end - at), at)))
  }

  flush(): void {
    this.possible = new Map()
    this.#add([this.now])
  }

  #add(images: Buffer[]): void {
    for (const image of images) this.possible.set(image.toString('latin1'), image)
  }
}

function put(image: Buffer, written: Buffer, at: number): Buffer {
  const result = Buffer.alloc(Math.max(image.length, at + written.length))
  image.copy(result)
  written.copy(result, at)
  return result
}

/** What the names in a directory may stand for after a loss of power. */
class Model {
  readonly now = new Map<string, ModelFile>()
  readonly possible = new Map<string, Set<ModelFile | undefined>>(
    NAMES.map((of) => [of, new Set([undefined])]),
  )

  set(of: string, file: ModelFile | undefined): void {
    this.possible.get(of)!.add(file)
    if (file === undefined) this.now.delete(of)
    else this.now.set(of, file)
  }

  make(of: string): ModelFile {
    const file = this.now.get(of) ?? new ModelFile()
    file.empty()
    if (!this.now.has(of)) this.set(of, file)
    return file
  }

  flush(): void {
    for (const of of NAMES) this.possible.set(of, new Set([this.now.get(of)]))
  }

  allows(of: string, image: Buffer | undefined): boolean {
    return [...this.possible.get(of)!].some((file) =>
      image === undefined ? file === undefined : file?.possible.has(image.toString('latin1')),
    )
  }
}

/** Does deeds to a disk and to the model. */
class Both {
  readonly model = new Model()
  readonly disk: SimulatedDisk
  readonly #storage: Storage
  readonly #open = new Map<string, { readonly file: WritableFile; readonly model: ModelFile }>()
  #count = 0

  constructor(seed: number) {
    const world = new World(seed)
    this.disk = new SimulatedDisk(world, 'a')
    this.#storage = this.disk.storageFor(new Life(world, 'a#1'))
  }

  async do(deed: Deed): Promise<void> {
    await this.#storage.makeDirectory(DIRECTORY, 0o700)
    if (deed.do === 'flush directory') {
      await this.#storage.flushDirectory(DIRECTORY)
      return this.model.flush()
    }
    const path = `${DIRECTORY}/${deed.name}`
    switch (deed.do) {
      case 'write': {
        const written = this.#bytes(deed.bytes)
        await this.#storage.write(path, written, { flush: deed.flush })
        const file = this.model.make(deed.name)
        file.write(written, 0)
        if (deed.flush) file.flush()
        return
      }
      case 'create': {
        const file = await this.#storage.create(path)
        this.#open.set(deed.name, { file, model: this.model.make(deed.name) })
        return
      }
      case 'add': {
        const written = this.#bytes(deed.bytes)
        const open = this.#open.get(deed.name)
        await open?.file.write(written, deed.at)
        return open?.model.write(written, deed.at)
      }
      case 'flush': {
        const open = this.#open.get(deed.name)
        await open?.file.flush()
        return open?.model.flush()
      }
      case 'flush by name': {
        const file = this.model.now.get(deed.name)
        if (file === undefined) return
        await this.#storage.flush(path)
        return file.flush()
      }
      case 'remove':
        await this.#storage.remove(path)
        return this.model.now.has(deed.name) ? this.model.set(deed.name, undefined) : undefined
      case 'rename': {
        const file = this.model.now.get(deed.name)
        if (file === undefined || deed.name === deed.to) return
        await this.#storage.rename(path, `${DIRECTORY}/${deed.to}`)
        this.model.set(deed.to, file)
        return this.model.set(deed.name, undefined)
      }
      default:
        return deed satisfies never
    }
  }

  /** No two writes write the same. */
  #bytes(count: number): Buffer {
    return Buffer.alloc(count, 1 + (this.#count++ % 255))
  }

  image(of: string): Buffer | undefined {
    const found = this.disk.peek(`${DIRECTORY}/${of}`)
    return found && Buffer.from(found)
  }
}

test('a loss of power leaves what was flushed, and of the rest what a disk may leave', async () => {
  let changed = 0
  await fc.assert(
    fc.asyncProperty(deeds, fc.integer({ min: 0, max: 2 ** 31 - 1 }), async (all, seed) => {
      const both = new Both(seed)
      for (const deed of all) await both.do(deed)
      for (const of of NAMES) expect(both.image(of)).toEqual(both.model.now.get(of)?.now)
      both.disk.powerLoss()
      for (const of of NAMES) {
        const image = both.image(of)
        expect(both.model.allows(of, image), `${of}, of ${image?.length} bytes`).toBe(true)
        if (image?.toString('latin1') !== both.model.now.get(of)?.now.toString('latin1')) changed++
      }
    }),
    { numRuns: 400 },
  )
  expect(changed).toBeGreaterThan(50)
})
