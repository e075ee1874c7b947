import { readdirSync, readFileSync } from 'node:fs'
import { beforeAll, expect, test } from 'vitest'
import type * as Announcements from '../../src/group/announcement.ts'
import type * as CarriedStates from '../../src/group/carried-state.ts'
import type * as Controls from '../../src/group/control.ts'
import type * as Entries from '../../src/log/jetstream/entry.ts'
import type * as Limits from '../../src/sync/limits.ts'
import type * as Messages from '../../src/sync/wire/messages.ts'
import { describeWithRelease, lastRelease, type Package, type Release, today } from './last-release.ts'

/**
 * The bytes that go from one process to another, in both directions. test/vectors holds that today's code writes and
 * reads the bytes that are there: so it is enough that those of the release are among them.
 */
interface VectorFile {
  readonly vectors: readonly { readonly name: string; readonly bytes: string }[]
}

const DIRECTORY = new URL('../vectors/', import.meta.url)
const FILES = readdirSync(DIRECTORY).flatMap((name) => (name.endsWith('.json') ? [name.slice(0, -5)] : []))

function vectorsIn(json: string): Map<string, string> {
  const { vectors }: VectorFile = JSON.parse(json)
  return new Map(vectors.map(({ name, bytes }) => [name, bytes]))
}

const ours = (file: string) => vectorsIn(readFileSync(new URL(`${file}.json`, DIRECTORY), 'utf8'))

type Read = (bytes: Uint8Array) => unknown

/**
 * How a version of the package reads the bytes of a file of vectors.
 * @param carriedState the module that reads the group's state
 */
async function readersOf(from: Package, carriedState: string): Promise<Record<string, Read>> {
  const { decodeControl } = await from.load<typeof Controls>('group/control')
  const { decodeGroupState } = await from.load<typeof CarriedStates>(carriedState)
  const { decodeAnnouncement } = await from.load<typeof Announcements>('group/announcement')
  const { decodeRequest, decodeResponse } = await from.load<typeof Messages>('sync/wire/messages')
  return {
    control: decodeControl,
    'group-state': decodeGroupState,
    announcements: decodeAnnouncement,
    'sync-requests': decodeRequest,
    'sync-responses': decodeResponse,
  }
}

/** What it reads, or undefined for what it does not know: a control entry does nothing then, a message is answered `Malformed`. */
function known(read: Read, bytes: Uint8Array): unknown {
  try {
    return plain(read(bytes))
  } catch (error) {
    expect(error).toMatchObject({ name: 'Malformed' })
    return undefined
  }
}

/** Without its classes, which are others in another version. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (Array.isArray(value)) return value.map(plain)
  const fields = value instanceof Error ? { ...value, message: value.message } : value
  const told = Object.entries(fields).filter(([, field]) => field !== undefined)
  return Object.fromEntries(told.map(([name, field]) => [name, plain(field)]))
}

const READ_BY_OTHERS = ['announcements', 'control', 'group-state', 'sync-requests', 'sync-responses']

describeWithRelease('bytes of the last release, and bytes for it', () => {
  let release: Release
  let theirs: Record<string, Read>
  let todays: Record<string, Read>

  beforeAll(async () => {
    release = await lastRelease()
    theirs = await readersOf(release, 'group/group-state')
    todays = await readersOf(today, 'group/carried-state')
  })

  /** The vectors of the release, by their names. There are none where the format is new. */
  function released(file: string): Map<string, string> {
    const path = `test/vectors/${file}.json`
    return release.hasSource(path) ? vectorsIn(release.source(path)) : new Map()
  }

  test.each(FILES)('%s: what the release wrote is still written so', (file) => {
    const kept = new Set(ours(file).values())
    const missing = [...released(file)].filter(([, bytes]) => !kept.has(bytes)).map(([name]) => name)
    expect(missing).toEqual([])
  })

  test.each(READ_BY_OTHERS)('%s: the release reads as we do, or knows that it cannot', (file) => {
    const old = new Set(released(file).values())
    for (const [name, hex] of ours(file)) {
      const bytes = Buffer.from(hex, 'hex')
      const read = known(theirs[file]!, bytes) as object | undefined
      if (read !== undefined) expect(known(todays[file]!, bytes), name).toMatchObject(read)
      else expect(old.has(hex), `${name} is of the release`).toBe(false)
    }
  })

  test('an entry of a stream is read alike, and one of a newer version does nothing', async () => {
    for (const [writer, reader] of [
      [release, today],
      [today, release],
    ] as const) {
      const { EntryEncoder } = await writer.load<typeof Entries>('log/jetstream/entry')
      const { EntryDecoder } = await reader.load<typeof Entries>('log/jetstream/entry')
      const payload = Buffer.from('payload')
      const { id, data } = new EntryEncoder('epoch', 'author').encode({ kind: 'control', payload })
      const entry = { index: 7, timestampMs: 9, author: 'author', id, epoch: 'epoch', kind: 'control' }
      expect(new EntryDecoder().decode(7, 9, data)).toEqual({ ...entry, payload })
      data[0] = 99
      expect(new EntryDecoder().decode(7, 9, data).epoch).toBe('')
    }
  })

  test('the sync protocol has the same name', async () => {
    const names = [release, today].map((from) => from.load<typeof Limits>('sync/limits'))
    const [old, ours] = (await Promise.all(names)).map(({ PROTOCOL_VERSION }) => PROTOCOL_VERSION)
    expect(ours).toBe(old)
  })
})
