import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { threadFlags } from '../../node-flags.ts'
import { StateUnusable } from './errors.ts'

/** What a thread does to a closed file. */
export interface IndexWork {
  readonly path: string
  /** They make indexes, views and triggers. */
  readonly statements: readonly string[]
  readonly cacheKib: number
}

/** This file's own name: `.ts` in the sources, `.js` in the published package. In a bundle it is neither. */
const OWN_NAME = /[/\\]sqlite[/\\]index-work\.(ts|js)$/

/**
 * Run the statements in a thread of its own: an index of a large table takes as long as reading and sorting it.
 * Rejects with what SQLite says, and with `StateUnusable` if no thread can be started.
 */
export async function makeIndexes(work: IndexWork): Promise<void> {
  const own: string | undefined = import.meta.url
  const extension = OWN_NAME.exec(own ?? '')?.[1]
  if (extension === undefined) {
    throw new StateUnusable(
      `indexes are made in a thread, which runs from a file of its own, and ${own ?? 'this program'} is a bundle without it: leave the package anchorage out of the bundle`,
    )
  }
  const worker = new Worker(new URL(`./index-thread.${extension}`, own), {
    name: 'anchorage indexes',
    workerData: work,
    ...threadFlags(),
  })
  // An error of the thread rejects this.
  const [code] = (await once(worker, 'exit')) as [number]
  if (code !== 0) throw new StateUnusable(`the thread that makes indexes ended with code ${code}`)
}
