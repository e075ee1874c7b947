import { expect, test } from 'vitest'
import type { ReplicaState } from '../../src/group/announcement.ts'
import { Health } from '../../src/observe/health.ts'
import type { SessionState } from '../../src/sync/fetching/session-state.ts'

const ANCHOR = { epoch: 'e', index: 7 }

function healthOf(state: ReplicaState, changes: { failure?: Error; logConnected?: boolean } = {}): Health {
  return new Health({ state, failure: undefined, logConnected: true, position: ANCHOR, ...changes })
}

function fetching(chunks: number, providers: string[]): SessionState {
  return { status: 'fetching', anchor: ANCHOR, chunks, chunksTotal: 80, bytes: 1, bytesTotal: 2, providers }
}

test.each<[what: string, session: SessionState | undefined, said: string]>([
  ['before a session', undefined, 'asks the group for a snapshot'],
  ['asking', { status: 'requesting' }, 'asks the group for a snapshot'],
  ['an anchor is named', { status: 'choosing', anchor: ANCHOR }, 'takes the snapshot at entry 7'],
  ['fetching', fetching(12, ['a', 'b']), 'fetched 12 of 80 chunks, from 2 providers'],
  ['fetching from one', fetching(80, ['a']), 'fetched 80 of 80 chunks, from 1 provider'],
  [
    'no seal yet',
    { status: 'verifying', anchor: ANCHOR },
    'waits for the group to agree on the snapshot, or for a provider',
  ],
  ['installing', { status: 'installing', anchor: ANCHOR }, 'installs the snapshot'],
  ['between two sessions', { status: 'failed', reason: new Error('x') }, 'asks the group for a snapshot'],
])('catching up, %s', (_what, state, said) => {
  const health = healthOf('catching-up')
  if (state !== undefined)
    health.happened({ type: 'sync', detail: { type: 'session', state, catchUp: 'c0ffee' } })
  expect(health.ready).toEqual({ ok: false, text: `catching-up: ${said}` })
  expect(health.alive.ok).toBe(true)
})

test.each<[state: ReplicaState, changes: Parameters<typeof healthOf>[1], alive: boolean, said: string]>([
  ['following', {}, true, 'following: applies the log, and is at entry 7'],
  [
    'following',
    { logConnected: false },
    true,
    "following: the log's servers cannot be reached; it is at entry 7",
  ],
  ['lost', { failure: new Error('nobody has it') }, true, 'lost: nobody has it'],
  ['halted', { failure: new Error('it tore') }, false, 'halted: it tore'],
  ['stopped', { failure: new Error('it was stopped') }, false, 'stopped: it was stopped'],
])('%s: %o', (state, changes, alive, said) => {
  const health = healthOf(state, changes)
  expect([health.ready, health.alive.ok]).toEqual([{ ok: false, text: said }, alive])
})

test('the newest problem is told, in one line and not without end, until it is over', () => {
  const health = healthOf('following')
  const problem = (message: string) => health.happened({ type: 'problem', detail: new Error(message) })
  problem('an older one')
  problem('a peer said:\r\nHTTP/1.1 200 OK\u2028\u0007 well')
  expect(health.ready.text).toMatch(/at entry 7; its newest problem: a peer said: HTTP\/1.1 200 OK well$/)
  problem('x'.repeat(10_000))
  expect(health.ready.text).toHaveLength(1_001)
  const change = { state: 'in-sync', previous: 'following', reason: undefined } as const
  health.happened({ type: 'state', detail: change })
  expect(health.ready.text).not.toContain('problem')
})
