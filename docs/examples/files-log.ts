import { randomUUID } from 'node:crypto'
import { watch } from 'node:fs'
import { link, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import * as log from 'anchorage/log'

/** A log in a directory, for processes of one machine. Each append is a file: it is there whole, or not at all. */
export function filesLog(path: string, options?: log.StoredLogOptions): log.LogBackend {
  return log.storedLog(new Folder(path), options)
}

/** `head.json` has the epoch, and a folder of that name the entries. Another log never gets into that folder. */
class Folder implements log.LogStorage {
  readonly place: string
  constructor(path: string) {
    this.place = path
  }

  async find(): Promise<log.LogStore | undefined> {
    const found = await headIn(this.place)
    return found && new Files(this.place, found)
  }

  async make(epoch: string, head: string): Promise<void> {
    const draft = `${this.place}.${randomUUID()}`
    await mkdir(join(draft, epoch), { recursive: true })
    await writeFile(join(draft, 'head.json'), JSON.stringify({ epoch, head }), { flush: true })
    await sync(draft)
    // A folder takes the place of none, or of an empty one. So only one of several processes makes the log.
    if (!(await isFirst(rename(draft, this.place)))) await rm(draft, { recursive: true })
    await sync(dirname(this.place))
  }
}

class Files implements log.LogStore {
  readonly epoch: string
  readonly head: string
  readonly #path: string
  readonly #folder: string

  constructor(path: string, { epoch, head }: Head) {
    this.epoch = epoch
    this.head = head
    this.#path = path
    this.#folder = join(path, epoch)
  }

  async bounds(): Promise<log.LogBounds | undefined> {
    const found = await headIn(this.#path)
    if (found === undefined) return undefined
    const { epoch } = found
    const names = (await unlessMissing(readdir(join(this.#path, epoch)))) ?? []
    const first = (numbers(names, '.pruned').at(-1) ?? 0) + 1
    const last = numbers(names, '.entries').at(-1)
    if (last === undefined) return { epoch, first, newest: { index: 0, timestampMs: 0 } }
    const lines = await unlessMissing(readFile(join(this.#path, epoch, `${digits(last)}.entries`), 'utf8'))
    if (lines === undefined) return undefined
    return { epoch, first, newest: JSON.parse(lines.slice(0, lines.indexOf('\n'))) }
  }

  async read(from: number): Promise<log.LogEntry[]> {
    const first = numbers(await readdir(this.#folder), '.entries').findLast((index) => index <= from)
    if (first === undefined) return []
    const lines = await unlessMissing(readFile(join(this.#folder, `${digits(first)}.entries`), 'utf8'))
    const entries = lines?.split('\n').slice(1).map(log.decodeEntry) ?? []
    return entries.filter(({ index }) => index >= from)
  }

  async append(entries: readonly log.UnplacedEntry[]): Promise<log.Committed> {
    for (;;) {
      const first = ((await this.bounds())?.newest.index ?? 0) + 1
      const timestampMs = Date.now()
      const newest = JSON.stringify({ index: first + entries.length - 1, timestampMs })
      const lines = entries.map((entry, n) => log.encodeEntry({ ...entry, index: first + n, timestampMs }))
      // The name is taken if another process was first: then try behind its entries.
      if (!(await this.#create(`${digits(first)}.entries`, [newest, ...lines].join('\n')))) continue
      await sync(this.#folder).catch((cause) => {
        throw new log.AppendUncertain('the folder could not be synced', { cause })
      })
      return { first }
    }
  }

  async prune(upTo: number): Promise<void> {
    await this.#create(`${digits(upTo)}.pruned`, '')
    await sync(this.#folder)
    const firsts = numbers(await readdir(this.#folder), '.entries')
    // The newest file stays: the next index follows from it.
    const gone = firsts.filter((_, n) => (firsts[n + 1] ?? Infinity) <= upTo + 1)
    for (const first of gone) await rm(join(this.#folder, `${digits(first)}.entries`), { force: true })
  }

  async put(name: string, text: string): Promise<void> {
    const draft = await this.#draft(text)
    await rename(draft, join(this.#folder, `${name}.record`))
  }

  async remove(name: string): Promise<void> {
    await rm(join(this.#folder, `${name}.record`), { force: true })
  }

  async records(): Promise<log.LogRecord[]> {
    const names = (await readdir(this.#folder)).filter((name) => name.endsWith('.record'))
    const found = names.map(async (name) => {
      const path = join(this.#folder, name)
      const [text, stats] = await Promise.all([
        unlessMissing(readFile(path, 'utf8')),
        unlessMissing(stat(path)),
      ])
      if (text === undefined || stats === undefined) return []
      return [{ name: name.replace('.record', ''), text, ageMs: Date.now() - stats.mtimeMs }]
    })
    return (await Promise.all(found)).flat()
  }

  onChange(listener: () => void): () => void {
    const watcher = watch(this.#folder, listener).on('error', listener)
    return () => watcher.close()
  }

  async #draft(text: string): Promise<string> {
    const draft = join(this.#folder, `${randomUUID()}.draft`)
    await writeFile(draft, text, { flush: true })
    return draft
  }

  /** Make a file with all of its content. False if there is one of that name. */
  async #create(name: string, text: string): Promise<boolean> {
    const draft = await this.#draft(text)
    const isOurs = await isFirst(link(draft, join(this.#folder, name)))
    await rm(draft)
    return isOurs
  }
}

type Head = { readonly epoch: string; readonly head: string }

async function headIn(path: string): Promise<Head | undefined> {
  const text = await unlessMissing(readFile(join(path, 'head.json'), 'utf8'))
  return text === undefined ? undefined : JSON.parse(text)
}

/** So that the order of names is that of indexes. */
function digits(index: number): string {
  return String(index).padStart(16, '0')
}

function numbers(names: readonly string[], end: string): number[] {
  const those = names.filter((name) => name.endsWith(end))
  return those.map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b)
}

/** Have the names in a folder survive a power cut. */
async function sync(folder: string): Promise<void> {
  await using handle = await open(folder)
  await handle.sync()
}

async function isFirst(work: Promise<void>): Promise<boolean> {
  return await work.then(
    () => true,
    (error) => refuses(error, 'EEXIST', 'ENOTEMPTY') ?? false,
  )
}

async function unlessMissing<T>(work: Promise<T>): Promise<T | undefined> {
  return await work.catch((error) => refuses(error, 'ENOENT'))
}

/** Throws any other error. */
function refuses(error: NodeJS.ErrnoException, ...codes: string[]): undefined {
  if (!codes.includes(error.code ?? '')) throw error
}
