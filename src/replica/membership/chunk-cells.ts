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
  const told = providers.slice(0, PROVIDERS_MAX)
  // By the place in the map: the place in a cell, and 0 for one that is not told of.
  const places = map.providers.map(({ peer }) => told.indexOf(peer) + 1)
  const cells = new Uint8Array(Math.ceil(map.length / size))
  for (let cell = 0; cell < cells.length; cell++) {
    cells[cell] = cellOf(map, places, { from: cell * size, to: Math.min((cell + 1) * size, map.length) })
  }
  return cells
}

function cellOf(
  map: ChunkMap,
  places: readonly number[],
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const counts = new Uint32Array(PROVIDERS_MAX + 1)
  let most = 0
  let hedged = 0
  for (let index = from; index < to; index++) {
    const from = map.placeAt(index)
    if (from === undefined) return 0
    if (map.isHedged(index)) hedged = CELL_HEDGED
    const place = from < 0 ? 0 : places[from]!
    counts[place]!++
    if (counts[place]! > counts[most]!) most = place
  }
  return most | CELL_HERE | hedged
}
