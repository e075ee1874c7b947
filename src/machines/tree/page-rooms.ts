/** The bytes of a page that holds some dozens of items. */
export const PAGE_BYTES = 4096
/** A page of large items is larger, so that it holds this many of the average size. */
const PAGE_ITEMS = 16
/** The largest page of more than one item, in bytes. Words can point that far. */
export const PAGE_BYTES_MAX = 32 * 1024
/** The first page of a tree. The page of a tree that is one leaf grows by doubling. */
export const PAGE_BYTES_MIN = 128

/** How much a leaf with items of this average size may take, in bytes: an even number. */
export function fullRoom(taken: number, items: number): number {
  if (items === 1) return Math.max(PAGE_BYTES, taken + (taken % 2))
  return Math.min(PAGE_BYTES_MAX, Math.max(PAGE_BYTES, Math.ceil(taken / items) * PAGE_ITEMS))
}

/** The bytes of a page for a leaf that takes this much. */
export function pageRoom(taken: number, items: number): number {
  return Math.max(fullRoom(taken, items), taken + (taken % 2))
}
