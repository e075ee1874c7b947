import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { DemoEnvironment } from './environment.ts'
import { plainReplay } from './measured.ts'

const SWEPT_POLL_INTERVAL_MS = 50

/** A file in the cluster's folder. */
export function sqliteEnvironment(): DemoEnvironment {
  return {
    text: 'one SQLite file',
    init: { group: 'demo' },
    place: ({ logPath }) => logPath,
    plainReplay: ({ logPath }, signal) => plainReplay(logPath, signal),
    /** Pruned rows are deleted in the background. */
    async swept({ logPath }, oldestKept, signal) {
      using db = new DatabaseSync(logPath, { readOnly: true })
      const oldest = db.prepare('SELECT min(idx) AS idx FROM entries')
      while ((oldest.get()!.idx as number) < oldestKept)
        await delay(SWEPT_POLL_INTERVAL_MS, undefined, { signal })
    },
    async [Symbol.asyncDispose]() {},
  }
}
