import { randomBytes } from 'node:crypto'
import { ReplicatedMap } from '../../../src/index.ts'

const BATCH_ENTRIES = 1_000
const KEY_DIGITS = 8
/** Characters of each value. As JSON it has two bytes more. */
const VALUE_LENGTH = 100
/** Base64 has 4 characters for 3 bytes. */
const [BASE64_CHARACTERS, BASE64_BYTES] = [4, 3]

const { commands } = new ReplicatedMap<string, string>()

/**
 * Commands, in batches, that set each of `items` keys once a round to a random text. Each round has another
 * random order.
 */
export function* history(items: number, rounds: number): Generator<Uint8Array[]> {
  const order = Uint32Array.from({ length: items }, (_, n) => n)
  for (let round = 0; round < rounds; round++) {
    shuffle(order)
    for (let at = 0; at < items; at += BATCH_ENTRIES) yield batch(order.subarray(at, at + BATCH_ENTRIES))
  }
}

function batch(numbers: Uint32Array): Uint8Array[] {
  const bytes = Math.ceil((numbers.length * VALUE_LENGTH * BASE64_BYTES) / BASE64_CHARACTERS)
  const text = randomBytes(bytes).toString('base64')
  return Array.from(numbers, (number, n) =>
    commands.set(keyOf(number), text.slice(n * VALUE_LENGTH, (n + 1) * VALUE_LENGTH)),
  )
}

function keyOf(number: number): string {
  return `key-${String(number).padStart(KEY_DIGITS, '0')}`
}

/** The shuffle of Fisher and Yates, in Durstenfeld's version. */
function shuffle(order: Uint32Array): void {
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(Math.random() * (last + 1))
    const moved = order[last]!
    order[last] = order[other]!
    order[other] = moved
  }
}
