import { CELL_HEDGED, CELL_HERE, PROVIDERS_MAX } from '../../group/catch-up-progress.ts'
import type { ChunkMap } from '../../sync/fetching/index.ts'

/**
 * A picture of a fetch's chunks in their order: see `CatchUpProgress.cells`. Every cell has equally many chunks, but the
 * last one may have fewer.
 *
 * @param providers as many of them as are told of, in their order: cells say their places in it
 * @param cellsMax the most cells, from 1
 */
export function chunkCells(map: ChunkMap, providers: readonly string[], cellsMax: number): Uint8Array {
  const size = Math.max(1, Math.ceil(map.length / cellsMax))
  const places = new Map(providers.slice(0, PROVIDERS_MAX).map((peer, at) => [peer, at + 1]))
  const cells = new Uint8Array(Math.ceil(map.length / size))
  for (let cell = 0; cell < cells.length; cell++) {
    cells[cell] = cellOf(map, places, { from: cell * size, to: Math.min((cell + 1) * size, map.length) })
  }
  return cells
}

function cellOf(
  map: ChunkMap,
  places: ReadonlyMap<string, number>,
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const counts = new Uint32Array(PROVIDERS_MAX + 1)
  let most = 0
  let hedged = 0
  for (let index = from; index < to; index++) {
    const { isHere, peer, isHedged } = map.at(index)
    if (!isHere) return 0
    if (isHedged) hedged = CELL_HEDGED
    const place = peer === undefined ? 0 : (places.get(peer) ?? 0)
    counts[place]!++
    if (counts[place]! > counts[most]!) most = place
  }
  return most | CELL_HERE | hedged
}
