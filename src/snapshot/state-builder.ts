import type { Position } from '../position.ts'

/** A new state, built beside the current one. If it is never committed, it is dropped without a call. */
export interface StateBuilder {
  /** The next chunk, in order; it holds `items` items. It was verified against the manifest. */
  add(chunk: Uint8Array, items: number): Promise<void>
  /** Every chunk was added: what takes long is done here, before `commit`. */
  finish?(): Promise<void>
  /** The manifest was verified against the sealed root. Replace the state, at once. */
  commit(anchor: Position, control: Uint8Array): void
}
