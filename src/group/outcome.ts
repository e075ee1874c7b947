import type { Genesis, Marker } from './control.ts'

/** What a control entry did. It is the same on every replica. */
export type Outcome =
  | { readonly type: 'leader'; readonly leader: string; readonly term: number }
  | { readonly type: 'marker'; readonly index: number; readonly marker: Marker }
  | { readonly type: 'attested'; readonly anchor: number; readonly author: string; readonly root: Uint8Array }
  /**
   * A root has the majority. `minority` has the electors that attested another root so far, and their roots.
   */
  | {
      readonly type: 'sealed'
      readonly anchor: number
      readonly root: Uint8Array
      readonly minority: ReadonlyMap<string, Uint8Array>
    }
  /**
   * No root can get the majority any more. `roots` has the electors that attested so far, and their roots.
   */
  | { readonly type: 'disputed'; readonly anchor: number; readonly roots: ReadonlyMap<string, Uint8Array> }
  /** An elector attested another root than the sealed one. */
  | {
      readonly type: 'diverged'
      readonly anchor: number
      readonly author: string
      readonly root: Uint8Array
      readonly sealed: Uint8Array
    }
  | { readonly type: 'prune'; readonly upTo: number }
  /** The group speaks another version from here on: of its own format, or of the machine. */
  | { readonly type: 'upgraded'; readonly format: number; readonly from: string; readonly to: string }
  /** The log begins with a snapshot, and the state here is that. */
  | { readonly type: 'genesis'; readonly genesis: Genesis }
  /** It moved machine time, as every entry does. */
  | { readonly type: 'tick' }
  /** A no-op: it is of an old term or of an unknown kind, or about an unknown anchor. */
  | {
      readonly type: 'void'
      readonly why: string
      /** The group's format, where a command with conditions is a no-op because the format has none. */
      readonly format?: number
    }
