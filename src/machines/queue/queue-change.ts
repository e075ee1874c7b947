import type { QueueItem } from './queue-item.ts'

/**
 * One change of a queue. The parts of an item are decoded anew each time they are read; reading one that the codec
 * cannot decode throws `Undecodable`.
 */
export type QueueChange<P, K, V> =
  | {
      readonly type: 'insert'
      readonly item: QueueItem<P, K, V>
      /** The item that had its key before. */
      readonly previous: QueueItem<P, K, V> | undefined
    }
  /** An item was given another priority or another value. */
  | { readonly type: 'update'; readonly item: QueueItem<P, K, V>; readonly previous: QueueItem<P, K, V> }
  | { readonly type: 'delete'; readonly item: QueueItem<P, K, V> }
  | { readonly type: 'pop'; readonly item: QueueItem<P, K, V> }
  /**
   * An item whose TTL had ended was removed from memory. That is some time after its death, and at a different time
   * on each replica.
   */
  | { readonly type: 'expire'; readonly item: QueueItem<P, K, V> }
  | { readonly type: 'clear' }
