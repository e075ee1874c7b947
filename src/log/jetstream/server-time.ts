const FRACTION_DIGITS = 9

/**
 * The nanoseconds since 1970 of a time as the servers write it: `2026-11-30T00:43:07.0685Z`. A number cannot hold
 * them exactly.
 */
export function nanosOf(time: string): string {
  const [seconds = '', fraction = ''] = time.replace(/Z$/, '').split('.')
  return `${Date.parse(`${seconds}Z`) / 1000}${fraction.padEnd(FRACTION_DIGITS, '0')}`
}
