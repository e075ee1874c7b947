/** What the two makes of the map have in common. */
export interface MapUnderTest<K, V> extends Iterable<[K, V]> {
  readonly size: number
  get(key: K): V | undefined
  apply(command: Uint8Array): unknown
}
