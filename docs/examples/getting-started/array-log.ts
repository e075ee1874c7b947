import * as log from 'anchorage/log'

/** A log in the memory of one process: for its replicas, and for nobody else. */
export function arrayLog(options?: log.StoredLogOptions): log.LogBackend {
  let store: ArrayStore | undefined
  const storage: log.LogStorage = {
    place: 'an array',
    find: async () => store,
    async make(epoch, head) {
      store ??= new ArrayStore(epoch, head)
    },
  }
  return log.storedLog(storage, options)
}

class ArrayStore implements log.LogStore {
  readonly epoch: string
  readonly head: string
  #entries: log.LogEntry[] = []
  #newest = { index: 0, timestampMs: 0 }
  readonly #records = new Map<string, { readonly text: string; readonly putMs: number }>()

  constructor(epoch: string, head: string) {
    this.epoch = epoch
    this.head = head
  }

  get #first() {
    return this.#newest.index - this.#entries.length + 1
  }

  async bounds() {
    return { epoch: this.epoch, first: this.#first, newest: this.#newest }
  }

  /** A few at a time: a reader holds them in memory, and one entry may have megabytes. */
  async read(from: number) {
    const at = from - this.#first
    return at < 0 ? [] : this.#entries.slice(at, at + 16)
  }

  async append(entries: readonly log.UnplacedEntry[]) {
    const first = this.#newest.index + 1
    const timestampMs = Date.now()
    this.#entries.push(...entries.map((entry, n) => ({ ...entry, index: first + n, timestampMs })))
    this.#newest = { index: first + entries.length - 1, timestampMs }
    return { first }
  }

  async prune(upTo: number) {
    this.#entries = this.#entries.filter(({ index }) => index > upTo)
  }

  async put(name: string, text: string) {
    this.#records.set(name, { text, putMs: performance.now() })
  }

  async remove(name: string) {
    this.#records.delete(name)
  }

  async records() {
    const now = performance.now()
    return [...this.#records].map(([name, { text, putMs }]) => ({ name, text, ageMs: now - putMs }))
  }
}
