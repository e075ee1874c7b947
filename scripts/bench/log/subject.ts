/** Where entries are kept. */
export type Place =
  | { readonly backend: 'memory' }
  | { readonly backend: 'sqlite'; readonly path: string }
  | StreamPlace<'jetstream'>
  | StreamPlace<'foreign'>
  | { readonly backend: 'postgres'; readonly url: string; readonly schema: string }

/** A stream of our log's own, or one of others. */
export interface StreamPlace<Backend> {
  readonly backend: Backend
  readonly servers: readonly Server[]
  readonly stream: string
}

export interface Server {
  readonly name: string
  readonly url: string
}

/** What is measured: a handle on our log, or on its baseline. */
export interface Subject extends AsyncDisposable {
  /** Resolves when all of them are kept. */
  append(payloads: readonly Uint8Array[]): Promise<unknown>
  /** Call `each` with every payload from the first on, and with new ones as they come, `count` in all. */
  follow(count: number, each: (payload: Uint8Array) => void): Promise<void>
  /** Another handle on the same log. */
  again(): Promise<Subject>
}

export const GROUP = 'bench'
