import type { PageView } from '../view.ts'

type ReplicaState = PageView['state']

interface Shown {
  readonly name: string
  /** A sign beside the colour. */
  readonly sign: string
}

const SHOWN: Readonly<Record<ReplicaState, Shown>> = {
  starting: { name: 'starting', sign: '○' },
  following: { name: 'following the log', sign: '◑' },
  'catching-up': { name: 'catching up', sign: '◔' },
  'in-sync': { name: 'in sync', sign: '●' },
  lost: { name: 'lost', sign: '✕' },
  halted: { name: 'halted', sign: '■' },
  stopped: { name: 'stopped', sign: '–' },
}

/** "in sync". */
export function stateName(state: ReplicaState): string {
  return SHOWN[state].name
}

export function stateSign(state: ReplicaState): string {
  return SHOWN[state].sign
}
