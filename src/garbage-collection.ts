import { setFlagsFromString } from 'node:v8'

/** The V8 version that has these flags, and with which they were measured: Node 24's. */
const V8_VERSION = '13.6.'

/**
 * Young buffers of this many MiB make V8 collect young garbage. V8's own default is 128. It collects at four
 * times the flag's value, unless it is marking all garbage at that moment. The flag also sets the size of the
 * young generation, but that is fixed by now. Only workers that start later get a quarter of the default
 * size.
 */
const YOUNG_BUFFERS_MIB = 32

/**
 * Have V8 count the memory of buffers together with the heap, and collect young garbage after each 32 MiB of
 * new buffers. By default, V8 collects all garbage after each 64 MiB of new buffers.
 *
 * The reason is encryption, which makes a buffer for every 64 KiB that is sent or received. With the default,
 * a replica that serves or catches up spends a third of its processor time on collecting garbage, and its
 * pauses grow with its state. With these flags it spends little. The buffers die young: collecting them costs
 * the same for any size of state, and bounds the memory of buffers that were sent.
 *
 * The flags hold for the whole process, which is why the program decides: call this first. The command line
 * and the processes of `anchorage/testing` do.
 *
 * @returns false if V8 is not Node 24's: then it is not known to help, and nothing is changed
 *
 * @example
 * ```ts
 * import { tuneGarbageCollection } from 'anchorage/replica'
 *
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
