/**
 * The oldest `nats-server` whose clusters kept every acknowledged entry when their leaders were stopped for
 * seconds.
 */
export const CLUSTER_VERSION_MIN = '2.12.1'

/** Whether one version precedes another, by their numbers. A suffix such as `-RC.1` does not count. */
export function isOlder(version: string, than: string): boolean {
  const [own, other] = [numbersOf(version), numbersOf(than)]
  if (own.length === 0) return false
  const at = other.findIndex((number, n) => number !== (own[n] ?? 0))
  return at >= 0 && (own[at] ?? 0) < other[at]!
}

function numbersOf(version: string): number[] {
  return (
    version
      .match(/\d+(\.\d+)*/)?.[0]
      .split('.')
      .map(Number) ?? []
  )
}
