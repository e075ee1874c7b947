import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { FORMATS, type Format } from './formats.ts'

/**
 * The bytes that other processes, other versions and other implementations depend on. Each JSON file beside this one has what
 * one format is for, and vectors: a name, an input, and its bytes in hex. In an input, `{ "hex": "…" }` stands for
 * bytes, and strings of keys and values for a byte per character.
 *
 * Where a format is meant to change, `UPDATE_VECTORS=1 npx vitest run test/vectors` writes the bytes anew (then `npm run
 * format`): the difference belongs into the same commit, and a new version of the format or protocol with it.
 */
interface VectorFile {
  readonly about: string
  readonly vectors: { readonly name: string; readonly input: unknown; bytes: string }[]
}

const UPDATE = process.env.UPDATE_VECTORS === '1'

const urlOf = (file: string) => new URL(`${file}.json`, import.meta.url)
const read = (file: string): VectorFile => JSON.parse(readFileSync(urlOf(file), 'utf8'))

/** An input as the code takes it. */
function revived(input: unknown): unknown {
  if (typeof input !== 'object' || input === null) return input
  if (Array.isArray(input)) return input.map(revived)
  if ('hex' in input) return Uint8Array.from(Buffer.from(String(input.hex), 'hex'))
  return Object.fromEntries(Object.entries(input).map(([key, value]) => [key, revived(value)]))
}

/** A value as an input has it. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Uint8Array) return { hex: Buffer.from(value).toString('hex') }
  const properties = value instanceof Error ? { ...value, message: value.message } : value
  return Object.fromEntries(
    Object.entries(properties)
      .filter(([key, each]) => each !== undefined && key !== '$typeName')
      .map(([key, each]) => [key, plain(each)]),
  )
}

const encoded = (format: Format, input: unknown) =>
  Buffer.from(format.encode(revived(input) as never)).toString('hex')

if (UPDATE) {
  for (const [file, format] of Object.entries(FORMATS)) {
    const content = read(file)
    for (const vector of content.vectors) vector.bytes = encoded(format, vector.input)
    writeFileSync(urlOf(file), `${JSON.stringify(content, undefined, 2)}\n`)
  }
}

test('every file of vectors is read', () => {
  const files = readdirSync(new URL('.', import.meta.url)).filter((name) => name.endsWith('.json'))
  expect(files.sort()).toEqual(
    Object.keys(FORMATS)
      .map((file) => `${file}.json`)
      .sort(),
  )
})

describe.each(Object.entries(FORMATS))('%s', (file, format) => {
  const { vectors } = read(file)

  test.each(vectors)('$name', async ({ name, input, bytes }) => {
    expect(encoded(format, input), `the format changed: ${file}, ${name}`).toBe(bytes)
    if (format.decode === undefined) return
    const decoded = await format.decode(Uint8Array.from(Buffer.from(bytes, 'hex')), revived(input) as never)
    expect(plain(decoded), `what was written is read otherwise: ${file}, ${name}`).toEqual(input)
  })

  const { kinds } = format
  if (kinds === undefined) return
  test('there is one of each kind', () => {
    const here = new Set(vectors.map(({ input }) => kinds.of(revived(input) as never)))
    expect([...here].sort()).toEqual(Object.keys(kinds.all).sort())
  })
})
