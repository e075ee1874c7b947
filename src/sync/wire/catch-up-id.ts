import type { Random } from '../../random.ts'

/** What others may send: today's ids have 16 digits. */
const VALID = /^[0-9a-f]{1,32}$/

/** Names one catch-up in the logs of everybody who has part in it: 16 hexadecimal digits. */
export function makeCatchUpId(random: Random): string {
  return word(random) + word(random)
}

/** An id that a peer sent. Undefined for none, and for what is none: nobody is told of that, and nobody shows it. */
export function toCatchUpId(text: string): string | undefined {
  return VALID.test(text) ? text : undefined
}

/** 32 bits. */
function word(random: Random): string {
  return Math.floor(random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0')
}
