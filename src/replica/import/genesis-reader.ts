import { decodeControl, type Genesis } from '../../group/control.ts'
import { LogTruncated } from '../../log/errors.ts'
import type { Log, LogEntry } from '../../log/log.ts'

/** The next entry to apply is the snapshot that the log begins with, and the state is another one. */
export class GenesisAhead extends Error {
  override readonly name = 'GenesisAhead'
  constructor() {
    super('the log begins with a snapshot, which this replica does not have')
  }
}

/** The genesis in a log's entry, if the entry is one that counts in the log of this epoch. */
export function genesisIn({ index, kind, epoch, payload }: LogEntry, of: string): Genesis | undefined {
  if (index !== 1 || kind !== 'control' || epoch !== of) return undefined
  const control = decodeControl(payload)
  return control?.type === 'genesis' ? control : undefined
}

/**
 * What the log begins with, if that is a snapshot. Undefined if it begins with something else, is empty, or
 * has had its first entry pruned.
 */
export async function readGenesis(
  log: Pick<Log, 'epoch' | 'read'>,
  signal: AbortSignal,
): Promise<Genesis | undefined> {
  try {
    for await (const { entries } of log.read({ index: 0 }, { signal }))
      return genesisIn(entries[0]!, log.epoch)
  } catch (error) {
    if (!(error instanceof LogTruncated)) throw error
  }
  signal.throwIfAborted()
  return undefined
}
