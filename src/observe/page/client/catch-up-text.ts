import type { CatchUpView } from '../view.ts'
import { count, shortId } from './format.ts'
import type { PeerMarks } from './peer-marks.ts'

/** The steps of a catch-up in their order, as an operator calls them. */
export const PHASES: readonly { readonly phase: CatchUpView['phase']; readonly name: string }[] = [
  { phase: 'requesting', name: 'ask for an anchor' },
  { phase: 'choosing', name: 'wait for offers' },
  { phase: 'fetching', name: 'fetch chunks' },
  { phase: 'verifying', name: 'wait for the seal' },
  { phase: 'installing', name: 'install' },
  { phase: 'replaying', name: 'replay the rest' },
]

/** "43 of 80 chunks: 20 from A …abc, 23 from B …def". */
export function chunksText({ chunks, chunksTotal, providers }: CatchUpView, marks: PeerMarks): string {
  if (chunksTotal === 0) return 'The chunks are not known yet'
  const from = providers.map(
    (it) => `${count(it.chunks)} from ${marks.of(it.peer).letter} ${shortId(it.peer)}`,
  )
  const listed = providers.reduce((sum, it) => sum + it.chunks, 0)
  if (chunks > listed && listed > 0)
    from.push(`${count(chunks - listed)} were here already or came from others`)
  const whole = `${count(chunks)} of ${count(chunksTotal)} chunks`
  return from.length === 0 ? whole : `${whole}: ${from.join(', ')}`
}

/** Chunks that are here, from 0 to 100; 100 only if all are. */
export function percent({ chunks, chunksTotal }: CatchUpView): number {
  return chunksTotal === 0 ? 0 : Math.min(100, Math.floor((100 * chunks) / chunksTotal))
}
