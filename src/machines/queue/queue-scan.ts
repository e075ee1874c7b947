import type { KeyRange } from '../expiring-items.ts'
import type { PackedTree } from '../tree/packed-tree.ts'
import { bracketEnd } from './place.ts'
import { QueueParts } from './queue-parts.ts'

/** Places in a tree, from one up to another. */
interface Places {
  readonly from: number
  readonly to: number
}

/**
 * The living items of a range of brackets. In both directions those of one priority come in the order of insertion.
 * Every step yields the same object with other contents. The tree must not be written meanwhile.
 */
export function* scanQueue(
  tree: PackedTree,
  timeMs: number,
  range: KeyRange,
): Generator<QueueParts, undefined> {
  let left = range.limit ?? Number.POSITIVE_INFINITY
  if (left === 0) return
  const places = placesOf(tree, range)
  for (const parts of range.reverse ? descending(tree, places) : ascending(tree, places)) {
    if (parts.deadlineMs <= timeMs) continue
    yield parts
    if (--left === 0) return
  }
}

/** The places of the items of a range of brackets. */
export function placesOf(tree: PackedTree, { gte, gt, lte, lt }: KeyRange): Places {
  const place = (key: Parameters<PackedTree['seek']>[0]) => {
    tree.seek(key)
    return tree.place
  }
  return {
    from: Math.max(gte === undefined ? 0 : place(gte), gt === undefined ? 0 : place(bracketEnd(gt))),
    to: Math.min(
      lte === undefined ? tree.size : place(bracketEnd(lte)),
      lt === undefined ? tree.size : place(lt),
    ),
  }
}

function* ascending(tree: PackedTree, places: Places): Generator<QueueParts, undefined> {
  const parts = new QueueParts()
  for (const { leaf, from, to } of tree.leaves(places)) {
    for (let i = from; i < to; i++) yield parts.readAt(leaf, i)
  }
}

/** Last priority first. */
function* descending(tree: PackedTree, { from, to }: Places): Generator<QueueParts, undefined> {
  const parts = new QueueParts()
  let end = to
  while (end > from) {
    tree.seekAt(end - 1)
    const { leaf, at } = tree.cursor
    parts.readAt(leaf, at)
    if (parts.number === 0) {
      yield parts
      end--
      continue
    }
    tree.seek(parts.bracket)
    const start = tree.place
    yield* ascending(tree, { from: start, to: end })
    end = start
  }
}
