import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import { sameBytes } from '../../src/bytes.ts'
import { encodeFrame, type Frame } from '../../src/sync/wire/frames.ts'

/**
 * What can be done to a sound frame on its way. Places are numbers of any size, taken modulo what there is: so a mutation is
 * made before it is known what it will meet.
 */
export type Mutation =
  | { readonly kind: 'flip'; readonly at: number; readonly bit: number }
  | { readonly kind: 'truncate'; readonly at: number }
  | { readonly kind: 'insert'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'random'; readonly bytes: Uint8Array }
  /** Within the message, which stays one. */
  | { readonly kind: 'duplicate' | 'drop'; readonly at: number }
  | { readonly kind: 'swap'; readonly at: number; readonly with: number }
  | { readonly kind: 'number'; readonly at: number; readonly value: bigint }
  | { readonly kind: 'text'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'add'; readonly at: number; readonly number: number; readonly value: bigint }
  | { readonly kind: 'payload'; readonly bytes: Uint8Array }
  /** A wrong length: of the frame, or of the header. */
  | { readonly kind: 'length' | 'header-length'; readonly by: number }
  /** The frame's length in more bytes than it needs. */
  | { readonly kind: 'over-long'; readonly extra: number }

/** Numbers at which something may be cut off, wrap around or lose its last bits. */
const EDGES = [0n, 1n, 255n, 256n, 257n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]
const UINT64_MAX = 2n ** 64n - 1n
/** More than a whole request may have. */
const TEXT_BYTES_MAX = 70_000

/** Near an edge, or anywhere. */
export const anyNumber: fc.Arbitrary<bigint> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...EDGES), fc.bigInt({ min: -2n, max: 2n }))
    .map(([edge, by]) => BigInt.asUintN(64, edge + by)),
  fc.bigInt({ min: 0n, max: UINT64_MAX }),
)

const place = fc.nat()
const someBytes = fc.uint8Array({ maxLength: 80 })

/** What leaves a message, and often a sound one. */
const ofFields: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constantFrom('duplicate', 'drop'), at: place }),
  fc.record({ kind: fc.constant('swap'), at: place, with: place }),
  fc.record({ kind: fc.constant('number'), at: place, value: anyNumber }),
  fc.record({
    kind: fc.constant('text'),
    at: place,
    bytes: fc.oneof(
      someBytes,
      fc.nat({ max: TEXT_BYTES_MAX }).map((length) => Buffer.alloc(length, 'a')),
    ),
  }),
  fc.record({
    kind: fc.constant('add'),
    at: place,
    number: fc.integer({ min: 1, max: 16 }),
    value: anyNumber,
  }),
  fc.record({ kind: fc.constant('payload'), bytes: someBytes }),
)

const ofBytes: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constant('flip'), at: place, bit: fc.nat({ max: 7 }) }),
  fc.record({ kind: fc.constant('truncate'), at: place }),
  fc.record({ kind: fc.constant('insert'), at: place, bytes: someBytes }),
  fc.record({ kind: fc.constant('random'), bytes: someBytes }),
  fc.record({
    kind: fc.constantFrom('length', 'header-length'),
    by: fc.oneof(fc.integer({ min: -20, max: 20 }), fc.integer()),
  }),
  fc.record({ kind: fc.constant('over-long'), extra: fc.integer({ min: 1, max: 12 }) }),
)

/** Most leave a message, so that what comes after it is read, too. */
export const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  { weight: 3, arbitrary: ofFields },
  { weight: 1, arbitrary: ofBytes },
)

/** The frame's bytes, mutated. */
export function mutate(frame: Frame, change: Mutation): Uint8Array {
  const { header, payload } = frame
  const whole = encodeFrame(frame).subarray()
  switch (change.kind) {
    case 'flip': {
      const at = change.at % whole.length
      whole[at]! ^= 1 << change.bit
      return whole
    }
    case 'truncate':
      return whole.subarray(0, change.at % whole.length)
    case 'insert': {
      const at = change.at % (whole.length + 1)
      return Buffer.concat([whole.subarray(0, at), change.bytes, whole.subarray(at)])
    }
    case 'random':
      return change.bytes
    case 'payload':
      return encodeFrame({ header, payload: change.bytes }).subarray()
    case 'length': {
      const body = bodyOf(frame, header.length)
      return Buffer.concat([varint(Math.max(0, body.length + change.by)), body])
    }
    case 'header-length': {
      const body = bodyOf(frame, Math.max(0, header.length + change.by))
      return Buffer.concat([varint(body.length), body])
    }
    case 'over-long': {
      const body = bodyOf(frame, header.length)
      return Buffer.concat([varint(body.length, change.extra), body])
    }
    default:
      return encodeFrame({ header: mutateFields(header, change), ...(payload && { payload }) }).subarray()
  }
}

function bodyOf({ header, payload = new Uint8Array(0) }: Frame, headerBytes: number): Uint8Array {
  return Buffer.concat([varint(headerBytes), header, payload])
}

/** An unsigned varint, in so many bytes more than it needs. */
function varint(value: number, extra = 0): Uint8Array {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  if (extra === 0) return Uint8Array.from([...bytes, rest])
  return Uint8Array.from([...bytes, rest | 0x80, ...Array<number>(extra - 1).fill(0x80), 0])
}

/** A field of a message without its schema: a number, bytes, or what may be another message. */
interface Field {
  readonly number: number
  value: bigint | Uint8Array | Field[]
}

function mutateFields(
  header: Uint8Array,
  change: Extract<Mutation, { kind: 'duplicate' | 'drop' | 'swap' | 'number' | 'text' | 'add' }>,
): Uint8Array {
  const fields = readFields(header)
  if (fields === undefined) return header
  const all = everyList(fields).flatMap((list) => list.map((field) => ({ list, field })))
  const numbers = all.filter(({ field }) => typeof field.value === 'bigint')
  const texts = all.filter(({ field }) => typeof field.value !== 'bigint')
  switch (change.kind) {
    case 'duplicate':
    case 'drop': {
      const found = pick(all, change.at)
      if (found === undefined) break
      const at = found.list.indexOf(found.field)
      if (change.kind === 'drop') found.list.splice(at, 1)
      else found.list.splice(at, 0, found.field)
      break
    }
    case 'swap': {
      const [one, other] = [pick(numbers, change.at)?.field, pick(numbers, change.with)?.field]
      if (one === undefined || other === undefined) break
      const { value } = one
      one.value = other.value
      other.value = value
      break
    }
    case 'number': {
      const found = pick(numbers, change.at)
      if (found !== undefined) found.field.value = change.value
      break
    }
    case 'text': {
      const found = pick(texts, change.at)
      if (found !== undefined) found.field.value = change.bytes
      break
    }
    case 'add': {
      const { number, value } = change
      pick(everyList(fields), change.at)!.push({ number, value })
      break
    }
    default:
      change satisfies never
  }
  return writeFields(fields)
}

function pick<T>(list: readonly T[], at: number): T | undefined {
  return list[at % list.length]
}

function everyList(fields: Field[]): Field[][] {
  return [fields, ...fields.flatMap(({ value }) => (Array.isArray(value) ? everyList(value) : []))]
}

/** Undefined where the bytes are no message of numbers and bytes alone. */
function readFields(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = []
  const reader = new BinaryReader(bytes)
  try {
    while (reader.pos < reader.len) {
      const [number, type] = reader.tag()
      if (type === WireType.Varint) fields.push({ number, value: BigInt(reader.uint64()) })
      else if (type === WireType.LengthDelimited) fields.push({ number, value: readValue(reader.bytes()) })
      else return undefined
    }
    return fields
  } catch {
    return undefined
  }
}

/** A hash that happens to be a message, too, is taken for one: written again it is the same. */
function readValue(bytes: Uint8Array): Uint8Array | Field[] {
  const fields = bytes.length === 0 ? undefined : readFields(bytes)
  return fields !== undefined && sameBytes(writeFields(fields), bytes) ? fields : bytes
}

function writeFields(fields: readonly Field[]): Uint8Array {
  const writer = new BinaryWriter()
  for (const { number, value } of fields) {
    if (typeof value === 'bigint') writer.tag(number, WireType.Varint).uint64(value)
    else
      writer
        .tag(number, WireType.LengthDelimited)
        .bytes(value instanceof Uint8Array ? value : writeFields(value))
  }
  return writer.finish()
}
