/**
 * A number that a member announces. It is clamped, not refused: the member stays one that people see, whose numbers mean
 * what they would mean anyway, more than there can be.
 */
export function amount(value: bigint): number {
  return Math.min(Number(value), Number.MAX_SAFE_INTEGER)
}
