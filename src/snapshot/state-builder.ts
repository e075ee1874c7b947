import type { Position } from '../position.ts'

/** A new state being built beside the current one; dropped without a call if it is never committed. */
export interface StateBuilder {
  /** The next chunk, in order: its `items` items. It was checked against the manifest. */
  add(chunk: Uint8Array, items: number): Promise<void>
  /** The manifest was checked against the sealed root: replace the state, at once. */
  commit(anchor: Position, control: Uint8Array): void
}
