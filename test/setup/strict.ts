import { afterAll } from 'vitest'
import { OpenHandles } from './open-handles.ts'
import { ProcessFaults } from './process-faults.ts'

/**
 * A file of tests fails when it leaves something open, when it or a process that it started warns of something, and when an
 * exception or a rejection ended such a process. Those of the file itself are what Vitest fails on anyhow.
 */

/**
 * How long what was told to close may take: a libp2p node writes down its addresses one second after its listener
 * closed, and later where the machine is busy.
 */
const GRACE_MS = 20_000
/** Whoever set a shorter limit for hooks gets the list of what was left open, not a hook that timed out. */
const REPORT_MS = GRACE_MS + 20_000

// Node opens them when they are first used, which may be in the middle of a test.
void [process.stdin, process.stdout, process.stderr]

const processes = new ProcessFaults()
const handles = new OpenHandles((file) => processes.writesTo(file))

/**
 * For a test that provokes a warning, or the end of a process. The others of its file may do so too: nobody knows which test one
 * is of.
 */
export function allowFault(pattern: RegExp): void {
  processes.allow(pattern)
}

afterAll(async () => {
  const left = await handles.left(GRACE_MS)
  const faults = [...left.map((handle) => `it was left open: ${handle}`), ...processes.read()]
  if (faults.length > 0) throw new Error(`a file of tests must not leave this behind:\n${faults.join('\n')}`)
}, REPORT_MS)
