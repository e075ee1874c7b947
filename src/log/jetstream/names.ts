import { createHash } from 'node:crypto'

/** The longest name of a stream. It leaves room for the name of the bucket that is derived from it. */
const STREAM_NAME_LENGTH_MAX = 200
const STREAM_NAME = new RegExp(`^[\\w-]{1,${STREAM_NAME_LENGTH_MAX}}$`)
/**
 * The longest name of a bucket. On the servers a name is a folder's too, with 255 characters at most, and the
 * name of a bucket's stream begins with `KV_`.
 */
const BUCKET_NAME_LENGTH_MAX = 252
/** If a group's name is too long for a stream's: how many characters of it are used, to recognise it. */
const GROUP_PART_LENGTH = 60
/** If a group's name is too long: how many hexadecimal digits of its hash tell it from others, 128 bits. */
const GROUP_HASH_LENGTH = 32

/**
 * Encodes a text as a name for streams, buckets and keys. Each byte that they may not hold becomes `_` and
 * two hexadecimal digits.
 */
export function encodeName(text: string): string {
  return Array.from(Buffer.from(text), (byte) => {
    const character = String.fromCharCode(byte)
    return /[A-Za-z0-9-]/.test(character) ? character : `_${byte.toString(16).padStart(2, '0')}`
  }).join('')
}

/**
 * The default name of a group's stream. For a long group name, it has the beginning of the name and a hash of
 * it.
 */
export function streamName(group: string): string {
  const name = `anchorage-${encodeName(group)}`
  if (isStreamName(name)) return name
  const hash = createHash('sha256').update(group).digest('hex').slice(0, GROUP_HASH_LENGTH)
  return `${name.slice(0, GROUP_PART_LENGTH)}-${hash}`
}

/** Throws for a name that a stream cannot have, or that its bucket cannot have. */
export function checkStreamName(name: string): void {
  if (isStreamName(name)) return
  throw new RangeError(
    `stream is ${JSON.stringify(name.slice(0, STREAM_NAME_LENGTH_MAX))}; give 1 to ${STREAM_NAME_LENGTH_MAX} letters, digits, - and _, and with two more for each _ at most ${BUCKET_NAME_LENGTH_MAX}`,
  )
}

function isStreamName(name: string): boolean {
  return STREAM_NAME.test(name) && encodeName(name).length <= BUCKET_NAME_LENGTH_MAX
}

/** The bucket of a group that follows a stream of others. Another control subject is another group. */
export function bucketName(stream: string, control: string, use: 'binding' | 'notices'): string {
  const name = `anchorage-${encodeName(`${stream} ${control}`)}-${use}`
  if (name.length <= BUCKET_NAME_LENGTH_MAX) return name
  const hash = createHash('sha256').update(`${stream} ${control}`).digest('hex').slice(0, GROUP_HASH_LENGTH)
  return `${name.slice(0, GROUP_PART_LENGTH)}-${hash}-${use}`
}
