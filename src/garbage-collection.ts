import { setFlagsFromString } from 'node:v8'

/** The V8 whose flags these are, and for which they were measured: Node 24's. */
const V8_VERSION = '13.6.'

/**
 * V8 collects young garbage when young buffers take four times as many MiB as the flag says, by default 128, unless it is marking
 * all garbage just then. What else the flag sets, the size of the young generation, is settled by then, except for workers that
 * start later: theirs is a quarter of the default.
 */
const YOUNG_BUFFERS_MIB = 32

/**
 * Have V8 weigh the memory of buffers together with the heap, instead of collecting all garbage after each 64 MiB of new
 * buffers, and collect young garbage after each 32 MiB of them. Encryption makes a buffer of every 64 KiB that is sent or received,
 * so that a replica that serves or catches up spends a third of its processor time on collecting garbage, and pauses for it the
 * longer the larger its state is; with this, little. Those buffers die young: collecting them costs the same whatever the state, and
 * bounds what those that were sent still take. It sets flags for the whole process, which is why it is left to the program: call it
 * first thing. The command line and the processes of `anchorage/testing` do.
 *
 * @returns false where it is not known to help: with another V8 than Node 24's nothing is changed
 *
 * @example
 * ```ts
 * tuneGarbageCollection()
 * await using replica = await createReplica({ … })
 * ```
 */
export function tuneGarbageCollection(): boolean {
  if (!process.versions.v8.startsWith(V8_VERSION)) return false
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  setFlagsFromString(`--scavenger-max-new-space-capacity-mb=${YOUNG_BUFFERS_MIB / 4}`)
  return true
}
