import { inspect } from 'node:util'

/** The most that is shown of text, in characters. */
const TEXT_MAX = 80
/** The most that is shown of other bytes. */
const BYTES_MAX = 32
/** The most that is shown of another value, in characters. */
const VALUE_MAX = 200

/** Bytes for people: text where they are UTF-8 without control characters, and hexadecimal otherwise. */
export function excerpt(bytes: Uint8Array): string {
  const text = textOf(bytes)
  if (text === undefined) {
    const hex = Buffer.from(bytes.subarray(0, BYTES_MAX)).toString('hex')
    return bytes.length > BYTES_MAX ? `0x${hex}… of ${bytes.length} bytes` : `0x${hex}`
  }
  return text.length > TEXT_MAX
    ? `${JSON.stringify(text.slice(0, TEXT_MAX))}… of ${bytes.length} bytes`
    : JSON.stringify(text)
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return /\p{Cc}/u.test(text) ? undefined : text
  } catch {
    return undefined
  }
}

/** Any value for people, in one line. */
export function shown(value: unknown): string {
  const text = inspect(value, { depth: 3, getters: true, breakLength: Number.POSITIVE_INFINITY })
  return text.length > VALUE_MAX ? `${text.slice(0, VALUE_MAX)}…` : text
}
