import { type Announcement, decodeAnnouncement, encodeAnnouncement } from '../../src/group/announcement.ts'
import { decodeGroupState } from '../../src/group/carried-state.ts'
import { type Control, decodeControl, encodeControl } from '../../src/group/control.ts'
import { GroupState } from '../../src/group/group-state.ts'
import type { StampedClock } from '../../src/group/machine-time.ts'
import type { RecentWrite } from '../../src/group/recent-writes.ts'
import { Versions } from '../../src/group/versions.ts'
import { type ByteString, byteStringOf, bytesOf } from '../../src/machine/byte-string.ts'
import { Items } from '../../src/machine/items.ts'
import { ExpiringItems } from '../../src/machines/expiring-items.ts'
import * as list from '../../src/machines/list/command.ts'
import { type Command, decodeCommand, encodeCommand } from '../../src/machines/map/command.ts'
import * as register from '../../src/machines/register/command.ts'
import * as set from '../../src/machines/set/command.ts'
import { itemHash } from '../../src/snapshot/boundary.ts'
import { ChunkWriter, itemsOf } from '../../src/snapshot/chunk.ts'
import { encodeHints, hintsOf } from '../../src/snapshot/hints.ts'
import { type ChunkInfo, chunkHash, makeManifest } from '../../src/snapshot/manifest.ts'
import { Busy, NotLeader, type WireError } from '../../src/sync/wire/errors.ts'
import { decodeFrames, encodeFrame, type Frame } from '../../src/sync/wire/frames.ts'
import {
  decodeRequest,
  decodeResponse,
  encodeRequest,
  encodeResponse,
  PLAIN_ERRORS,
  type Request,
  type ResponseBody,
} from '../../src/sync/wire/messages.ts'
import { controlEntry } from '../group/entries.ts'
import { generatedItems } from '../snapshot/generated-items.ts'

/** How the inputs of one file become bytes, and back where that is possible. */
export interface Format {
  readonly encode: (input: never) => Uint8Array
  readonly decode?: (bytes: Uint8Array, input: never) => unknown
  /** What the inputs of the file must have among them: the kind of each. */
  readonly kinds?: { readonly of: (input: never) => string; readonly all: Readonly<Record<string, true>> }
}

/** Everything in it that leaves a process, by the name of its file. */
export const FORMATS: Readonly<Record<string, Format>> = {
  'sync-requests': {
    encode: (request: Request) => encodeRequest(request),
    decode: decodeRequest,
    kinds: {
      of: ({ body }: Request) => body.type,
      all: {
        snapshot: true,
        offers: true,
        manifest: true,
        chunks: true,
        hints: true,
        items: true,
        keepAlive: true,
        offer: true,
        query: true,
        status: true,
        order: true,
      } satisfies Record<Request['body']['type'], true>,
    },
  },
  'sync-responses': {
    encode: ({ id, body }: ResponseInput) =>
      encodeResponse({ id, body: body.type === 'error' ? { ...body, error: errorOf(body.error) } : body }),
    decode: decodeResponse,
    kinds: {
      of: ({ body }: ResponseInput) => (body.type === 'error' ? body.error.name : body.type),
      all: {
        anchored: true,
        offers: true,
        manifest: true,
        chunk: true,
        hints: true,
        items: true,
        revived: true,
        noted: true,
        answer: true,
        status: true,
        done: true,
        Expired: true,
        CutFailed: true,
        UnknownAnchor: true,
        OutOfRange: true,
        Busy: true,
        NotLeader: true,
        Unauthorized: true,
        Incompatible: true,
        Malformed: true,
        Failed: true,
      } satisfies Record<Exclude<ResponseBody['type'], 'error'>, true> & Record<string, true>,
    },
  },
  frames: {
    encode: (frame: Frame) => encodeFrame(frame).slice(),
    decode: async (bytes) => {
      for await (const { header, payload } of decodeFrames(streamOf(bytes), bytes.length)) {
        return { header: header.slice(), payload: payload?.slice() }
      }
      return undefined
    },
  },
  chunks: {
    encode: (items: readonly Uint8Array[]) => chunkOf(items),
    decode: (bytes, items: readonly Uint8Array[]) => [...itemsOf(bytes, items.length)],
  },
  'chunk-hashes': {
    encode: (chunk: Uint8Array) => chunkHash(chunk),
  },
  hints: {
    encode: (items: readonly Uint8Array[]) => encodeHints(hintsOf(Items.of(...items))),
  },
  'item-hashes': {
    encode: (item: Uint8Array) => {
      const hash = Buffer.alloc(4)
      hash.writeUInt32BE(itemHash(new DataView(item.buffer, item.byteOffset, item.length), 0, item.length))
      return hash
    },
  },
  boundaries: {
    encode: ({ seed, count, bytesMin, bytesMax, chunkBytes }: BoundariesInput) =>
      Buffer.from(itemsPerChunk(generatedItems(seed, count, bytesMin, bytesMax), chunkBytes)),
  },
  roots: {
    encode: ({ control, chunks }: { control: Uint8Array; chunks: ChunkInfo[] }) =>
      makeManifest(control, chunks).root,
  },
  control: {
    encode: (control: Control) => encodeControl(control),
    decode: decodeControl,
    kinds: {
      of: ({ type }: Control) => type,
      all: {
        claim: true,
        marker: true,
        attestation: true,
        prune: true,
        tick: true,
        upgrade: true,
        genesis: true,
        guarded: true,
      } satisfies Record<Control['type'], true>,
    },
  },
  'group-state': {
    encode: (state: GroupStateInput) => groupStateOf(state).encode(),
    decode: (bytes) => {
      const state = new GroupState()
      state.restore(decodeGroupState(bytes))
      const { term, leader, timeMs, entryId, clocks, format, signature, lastCommand } = state
      const { recent } = decodeGroupState(bytes)
      return {
        term,
        leader,
        timeMs,
        entryId,
        ...(clocks.length > 0 && { clocks }),
        ...(format > 1 && { format, signature, lastCommand }),
        ...(recent.length > 0 && { recent }),
      }
    },
  },
  announcements: {
    encode: (announcement: Announcement) => encodeAnnouncement(announcement),
    decode: decodeAnnouncement,
  },
  'list-commands': {
    encode: (command: list.Command) => list.encodeCommand(command),
    decode: list.decodeCommand,
    kinds: {
      of: ({ type }: list.Command) => type,
      all: {
        push: true,
        insert: true,
        set: true,
        delete: true,
        swap: true,
        pop: true,
        shift: true,
        truncate: true,
        clear: true,
        compareAndSet: true,
        compareAndInsert: true,
      } satisfies Record<list.Command['type'], true>,
    },
  },
  'map-commands': {
    encode: (command: CommandInput) => encodeCommand(withValues(command, bytesOf)).slice(),
    decode: (bytes) => withValues(decodeCommand(bytes), byteStringOf),
    kinds: {
      of: ({ type }: Command) => type,
      all: {
        set: true,
        delete: true,
        setMany: true,
        deleteMany: true,
        compareAndSet: true,
        clear: true,
        persist: true,
      } satisfies Record<Command['type'], true>,
    },
  },
  'register-commands': {
    encode: (command: register.Command) => register.encodeCommand(command),
    decode: register.decodeCommand,
    kinds: {
      of: ({ type }: register.Command) => type,
      all: { set: true, compareAndSet: true, clear: true, persist: true } satisfies Record<
        register.Command['type'],
        true
      >,
    },
  },
  'set-commands': {
    encode: (command: set.Command) => set.encodeCommand(command),
    decode: set.decodeCommand,
    kinds: {
      of: ({ type }: set.Command) => type,
      all: {
        add: true,
        delete: true,
        addMany: true,
        deleteMany: true,
        clear: true,
        persist: true,
      } satisfies Record<set.Command['type'], true>,
    },
  },
  'map-items': { encode: mapItemOf, decode: mapEntryIn },
}

async function* streamOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

interface ErrorInput {
  readonly name: string
  readonly message: string
  readonly retryMs?: number
  readonly leader?: string
}

interface ResponseInput {
  readonly id: number
  readonly body:
    | Exclude<ResponseBody, { type: 'error' }>
    | { readonly type: 'error'; readonly error: ErrorInput }
}

function errorOf({ name, message, retryMs = 0, leader }: ErrorInput): WireError {
  if (name === 'Busy') return new Busy(message, retryMs)
  if (name === 'NotLeader') return new NotLeader(leader)
  return new PLAIN_ERRORS[name as keyof typeof PLAIN_ERRORS](message)
}

function chunkOf(items: readonly Uint8Array[]): Uint8Array {
  const writer = new ChunkWriter(1024)
  for (const item of items) writer.add(item)
  return writer.take().bytes
}

interface BoundariesInput {
  /** What `generatedItems` makes the items of. */
  readonly seed: number
  readonly count: number
  readonly bytesMin: number
  readonly bytesMax: number
  readonly chunkBytes: number
}

/** The number of items in each chunk; the vectors have less than 256 in one, and so one byte for each chunk. */
function itemsPerChunk(items: readonly Uint8Array[], chunkBytes: number): number[] {
  const writer = new ChunkWriter(chunkBytes)
  const counts: number[] = []
  for (const item of items) {
    writer.add(item)
    if (writer.ended) counts.push(writer.take().items)
  }
  if (writer.items > 0) counts.push(writer.take().items)
  if (Math.max(...counts) > 255) throw new RangeError('a chunk of more than 255 items')
  return counts
}

interface GroupStateInput {
  readonly term: number
  readonly leader?: string
  readonly timeMs: number
  readonly entryId: string
  readonly clocks?: readonly StampedClock[]
  readonly format?: number
  readonly signature?: string
  readonly lastCommand?: number
  readonly recent?: readonly RecentWrite[]
}

function groupStateOf({
  signature = '',
  format,
  lastCommand = 1,
  recent,
  ...input
}: GroupStateInput): GroupState {
  const { term, leader, timeMs, entryId, clocks } = input
  const state = new GroupState({ signature, versions: new Versions({ signature }) })
  for (let next = 1; next <= term; next++) {
    const claim = { type: 'claim', term: next, ...(format !== undefined && { format }) } as const
    state.apply(controlEntry(next, leader!, claim))
  }
  state.advance(Math.min(timeMs, ...(clocks ?? []).map((clock) => clock.timeMs)))
  for (const { timestampMs } of clocks ?? []) state.advance(timestampMs)
  state.reached({ id: entryId })
  if (recent !== undefined) state.restore({ ...decodeGroupState(state.encode()), lastCommand, recent })
  return state
}

interface MapEntry {
  readonly key: ByteString
  readonly value: ByteString
  readonly deadlineMs?: number
}

/** A command as the vectors have it: values in the form of keys. */
type CommandInput = WithValues<Command, ByteString>

type WithValues<C, Value> = C extends { readonly entries: unknown }
  ? Omit<C, 'entries'> & { readonly entries: readonly (readonly [ByteString, Value])[] }
  : { readonly [K in keyof C]: K extends 'value' | 'expected' ? Value | Extract<C[K], undefined> : C[K] }

function withValues<From, To>(
  command: WithValues<Command, From>,
  to: (value: From) => To,
): WithValues<Command, To> {
  const changed = Object.entries(command).map(([field, content]) => {
    if (field === 'entries')
      return [field, (content as [ByteString, From][]).map(([key, value]) => [key, to(value)])]
    const isValue = (field === 'value' || field === 'expected') && content !== undefined
    return [field, isValue ? to(content as From) : content]
  })
  return Object.fromEntries(changed)
}

function mapItemOf({ key, value, deadlineMs }: MapEntry): Uint8Array {
  const items = new ExpiringItems()
  items.set(key, bytesOf(value), deadlineMs)
  const [item] = Array.from(items.capture().items(), (bytes) => bytes.slice())
  return item!
}

function mapEntryIn(item: Uint8Array): MapEntry | undefined {
  const items = new ExpiringItems()
  const installation = items.install(() => {})
  installation.add(Items.of(item))
  installation.commit()
  const [entry] = Array.from(items.scan(), ({ key, value, deadlineMs }) => ({
    key,
    value: byteStringOf(value),
    ...(Number.isFinite(deadlineMs) && { deadlineMs }),
  }))
  return entry
}
