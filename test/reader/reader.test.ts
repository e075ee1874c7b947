import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { constants, zstdCompressSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { memoryLog } from '../../src/log/memory.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import type { Replica } from '../../src/replica/replica.ts'
import { createReplica } from '../../src/replica/start.ts'
import { leads, TIMES } from '../replica/cluster.ts'

/**
 * docs/protocol.md, held against the code and against a second implementation. The reader in this folder was
 * written from that page, and takes the definitions of messages from it.
 */
const ROOT = new URL('../../', import.meta.url)
const read = (path: string) => readFileSync(new URL(path, ROOT), 'utf8')
const page = read('docs/protocol.md')

/** The lines of definitions, without comments and empty lines. */
function definitions(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.replace(/\/\/.*/, '').trimEnd())
    .filter((line) => line !== '' && !/^(syntax|package) /.test(line))
}

/** Each message as the lines of its definition. */
function messages(lines: readonly string[]): string[] {
  return lines.join('\n').split(/\n(?=message )/)
}

test('the page defines each message as the code does, and no other', () => {
  const blocks = Array.from(page.matchAll(/^```proto\n(.*?)^```/gms), ([, block]) => block!)
  const paths = globSync('src/**/*.proto', { cwd: ROOT })
  expect(paths).toHaveLength(3)
  const ours = paths.flatMap((path) => messages(definitions(read(path))))
  expect(blocks.flatMap((block) => messages(definitions(block))).sort()).toEqual(ours.sort())
})

/** The value of a constant in a source: a number, or products, powers and sums of numbers and other constants. */
function constantIn(source: string, name: string): number {
  const [, expression] = new RegExp(`^(?:export )?const ${name} = (.+)$`, 'm').exec(source) ?? []
  if (expression === undefined) throw new RangeError(`there is no constant ${name}`)
  const factor = (text: string) => {
    if (/^[\d_]+$/.test(text)) return Number(text.replaceAll('_', ''))
    return constantIn(text in ELSEWHERE ? read(ELSEWHERE[text]!) : source, text)
  }
  const product = (text: string) => text.split(' * ').map(factor)
  return expression.split(' + ').reduce((sum, part) => sum + product(part).reduce((a, b) => a * b), 0)
}

/** Constants that others are made of, and that stand in another file. */
const ELSEWHERE: Readonly<Record<string, string>> = { CONTROL_BYTES_MAX: 'src/snapshot/manifest.ts' }

test('the numbers of the page are those of the code', () => {
  const [, section = ''] = page.split('\n## Numbers\n')
  const [table = ''] = section.split('\n## ')
  const rows = Array.from(table.matchAll(/^\| (`[^|]+) \| ([^|]+) \| `([^`]+)` \|$/gm))
  expect(rows).toHaveLength(Array.from(table.matchAll(/^\| `/gm)).length)
  for (const [, names = '', values = '', path = ''] of rows) {
    const constants = Array.from(names.matchAll(/`(\w+)`/g), ([, name]) => name!)
    const source = read(`src/${path}`)
    const found = constants.map((name) => constantIn(source, name).toLocaleString('en-US'))
    expect(found.join(', '), names).toBe(values)
  }
})

const python = spawnSync('python3', ['--version'], { encoding: 'utf8' })
const hasPython = python.status === 0 || process.env.REQUIRE_PYTHON === '1'
if (!hasPython) console.warn('SKIPPED, because python3 is not installed: the second reader, test/reader')

function run(...args: readonly string[]): { status: number | null; told: unknown; stderr: string } {
  const script = new URL('anchorage_reader.py', import.meta.url).pathname
  const { status, stdout, stderr, error } = spawnSync('python3', [script, ...args], { encoding: 'utf8' })
  if (error) throw error
  return { status, told: status === 0 ? JSON.parse(stdout) : undefined, stderr }
}

const CHUNK_BYTES = 1024

describe.skipIf(!hasPython)('a second reader, written from the page,', () => {
  let dir: string
  let dataDir: string
  let file: string
  let replica: Replica<unknown>
  let epoch: string
  let signature: string
  /** What each checkpoint must be, by its index. */
  const roots = new Map<number, string>()
  let exported: { index: number; root: string }

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'anchorage-reader-'))
    dataDir = join(dir, 'data')
    file = join(dir, 'backup.checkpoint')
    const map = new ReplicatedMap<string, unknown>()
    signature = map.signature
    replica = await createReplica<unknown>({
      group: 'read elsewhere',
      machine: map,
      log: memoryLog(),
      dataDir,
      chunkBytes: CHUNK_BYTES,
      // None is removed while it is read.
      checkpoint: { keep: 10 },
      logger: false,
      ...TIMES,
    })
    await leads(replica)
    // Text that zstd makes smaller, bytes that it does not, an item larger than a chunk, and keys that die one day.
    const entries = Array.from({ length: 300 }, (_, n) => [`key ${n}`, { n, text: 'the same' }] as const)
    await map.setMany(entries)
    await map.set('noise', noise(3_000))
    await map.set('large', 'x'.repeat(5_000))
    await map.set('dies', 1, { ttlMs: 3_600_000 })
    await replica.submit(map.commands.set('once', true), { key: 'a write' })
    await mark()
    await map.set('key 0', 'another value')
    await mark()
    const position = await replica.exportTo(file)
    exported = { index: position.index, root: await rootAt(position.index) }
    await replica.checkpointed(position)
    epoch = position.epoch
  })
  afterAll(async () => {
    await replica?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  async function rootAt(index: number): Promise<string> {
    const root = await replica.rootAt({ epoch: replica.position.epoch, index })
    return Buffer.from(root).toString('hex')
  }

  /** Have a checkpoint written, and remember its root. */
  async function mark(): Promise<void> {
    const anchor = await replica.mark()
    await replica.checkpointed(anchor)
    roots.set(anchor.index, await rootAt(anchor.index))
  }

  /** Text that is as random as its alphabet allows. */
  function noise(length: number): string {
    let state = 1
    const next = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return String.fromCharCode(0x21 + ((state >>> 16) % 90))
    }
    return Array.from({ length }, next).join('')
  }

  async function listsIn(folder: string): Promise<string[]> {
    const names = await readdir(join(folder, 'checkpoints'))
    return names
      .filter((name) => name.endsWith('.checkpoint'))
      .map((name) => join(folder, 'checkpoints', name))
  }

  /** Runs with one bit of a file turned, and puts it back. */
  async function runDamaged(path: string, at: number, ...args: readonly string[]) {
    const sound = await readFile(path)
    const damaged = Buffer.from(sound)
    damaged[at]! ^= 1
    await writeFile(path, damaged)
    try {
      return run('read', ...args)
    } finally {
      await writeFile(path, sound)
    }
  }

  test('makes the same bytes of every vector of the page', () => {
    const { told, stderr } = run('vectors', new URL('test/vectors', ROOT).pathname)
    expect(stderr).toBe('')
    const counts = Object.entries(told as Record<string, number | null>)
    for (const [name, count] of counts) {
      const { vectors } = JSON.parse(read(`test/vectors/${name}.json`))
      expect(count, name).toBe(/-commands$/.test(name) ? null : vectors.length)
    }
    expect(counts.map(([name]) => `${name}.json`)).toEqual(
      globSync('*.json', { cwd: new URL('test/vectors', ROOT) }).sort(),
    )
  })

  test('refuses vectors with one byte turned', async () => {
    for (const name of ['frames', 'roots', 'sync-requests', 'boundaries']) {
      const content = JSON.parse(read(`test/vectors/${name}.json`))
      const last = content.vectors.at(-1)
      last.bytes = last.bytes.slice(0, -1) + (Number.parseInt(last.bytes.at(-1), 16) ^ 1).toString(16)
      const folder = await mkdtemp(join(dir, 'vectors-'))
      await writeFile(join(folder, `${name}.json`), JSON.stringify(content))
      expect(run('vectors', folder), name).toMatchObject({ status: 1, stderr: /^refused: / })
    }
  })

  test('finds the root of an export, of its items alone', () => {
    const { told, stderr } = run('read', file, '--chunk-bytes', String(CHUNK_BYTES))
    expect(stderr).toBe('')
    expect(told).toMatchObject({
      ...{ group: 'read elsewhere', signature, epoch, index: exported.index, root: exported.root },
      ...{ sealed: true, format: 1, items: 304 },
      state: { term: 1, leader: replica.id, format: 2, signature, recent: [expect.anything()] },
    })
    expect((told as { chunks: number }).chunks).toBeGreaterThan(5)
  })

  test('finds the roots of the checkpoints in a data directory', async () => {
    const { told, stderr } = run('read', dataDir, '--chunk-bytes', String(CHUNK_BYTES))
    expect(stderr).toBe('')
    const found = told as { index: number; root: string; sealed: boolean; format: number }[]
    expect(found).toHaveLength((await listsIn(dataDir)).length)
    expect(found).toEqual(
      expect.arrayContaining([...roots].map(([index, root]) => expect.objectContaining({ index, root }))),
    )
    for (const { index, root, sealed, format } of found) {
      expect([root, sealed, format]).toEqual([await rootAt(index), true, 2])
    }
  })

  test('sees that chunks were cut with another size', () => {
    const { status, stderr } = run('read', file, '--chunk-bytes', String(2 * CHUNK_BYTES))
    expect([status, stderr.trim()]).toEqual([1, 'refused: its items, cut anew, make another manifest'])
  })

  test('refuses an export with one bit turned, wherever that is', async () => {
    const { length } = await readFile(file)
    const places = [7, 8, length >> 1, length - 200, length - 44, length - 40, length - 1]
    for (const at of places) {
      expect(await runDamaged(file, at, file), `byte ${at} of ${length}`).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^refused: /),
      })
    }
  })

  test('refuses a checkpoint of a data directory with one bit turned, in the list or in a chunk', async () => {
    const [list] = await listsIn(dataDir)
    const { hash } = await firstChunkOf(list!)
    const chunk = join(dataDir, 'checkpoints', 'chunks', hash)
    const sizes = { list: (await readFile(list!)).length, chunk: (await readFile(chunk)).length }
    const places = [
      ...[8, sizes.list >> 1, sizes.list - 20].map((at) => [list!, at] as const),
      ...[0, 1, sizes.chunk - 1].map((at) => [chunk, at] as const),
    ]
    for (const [path, at] of places) {
      expect(await runDamaged(path, at, dataDir), `byte ${at} of ${path}`).toMatchObject({
        status: 1,
        stderr: expect.stringMatching(/^refused: /),
      })
    }
    expect(run('read', dataDir).status).toBe(0)
  })

  /** A chunk that is in a list: 32 bytes behind the tag and the length of its hash. */
  async function firstChunkOf(list: string): Promise<{ hash: string }> {
    const bytes = await readFile(list)
    const names = await readdir(join(dataDir, 'checkpoints', 'chunks'))
    const hash = names.find((name) => bytes.includes(Buffer.from(name, 'hex')))
    expect(hash).toBeDefined()
    return { hash: hash! }
  }

  test('decodes what zstd makes of anything, at any level', async () => {
    const words = ['alpha', 'Zürich', '{"population":', '}', noise(9), '\n']
    const text = Array.from({ length: 6_000 }, (_, n) => words[(n * n * 7 + (n >> 3)) % words.length]).join(
      '',
    )
    const samples = ['', 'a', noise(40_000), text, 'x'.repeat(200_000), JSON.stringify([...page])]
    const cases = samples.flatMap((sample) =>
      [-2, 1, 9, 19].map((level) => {
        const params = {
          [constants.ZSTD_c_compressionLevel]: level,
          [constants.ZSTD_c_checksumFlag]: level & 1,
        }
        const raw = Buffer.from(sample)
        return { level, raw: raw.toString('hex'), zstd: zstdCompressSync(raw, { params }).toString('hex') }
      }),
    )
    const path = join(dir, 'zstd.json')
    await writeFile(path, JSON.stringify(cases))
    const program = `
import json, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import rfc8878
for case in json.load(open(sys.argv[2])):
    raw = bytes.fromhex(case["raw"])
    assert rfc8878.decompress(bytes.fromhex(case["zstd"]), len(raw)) == raw, (case["level"], len(raw))
print("all")`
    const folder = new URL('.', import.meta.url).pathname
    const { stdout, stderr } = spawnSync('python3', ['-c', program, folder, path], { encoding: 'utf8' })
    expect([stdout.trim(), stderr]).toEqual(['all', ''])
  })
})
