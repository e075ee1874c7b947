import { expect, test } from 'vitest'
import type { LogLine } from '../../src/logging/line.ts'
import { RepeatedLines } from '../../src/logging/repeated-lines.ts'
import type { SessionState } from '../../src/sync/fetching/session-state.ts'
import { syncLine } from '../../src/sync/log-lines.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const anchor = { epoch: 'e', index: 7 }
const failed: SessionState = { status: 'failed', reason: new Error('nobody serves') }

const clock = new VirtualClock()
const told: LogLine[] = []
const lines = new RepeatedLines({
  clock,
  sink: { enabled: true, shows: () => true, write: (line) => told.push(line) },
})
const session = (catchUp: string, ...states: SessionState[]) => {
  for (const state of states) {
    const line = syncLine({ type: 'session', catchUp, state })
    if (line !== undefined) lines.take(line)
  }
}

test('catch-ups that fail for an hour, every 10 s, tell some lines a minute, and all of them are counted', () => {
  for (let n = 0; n < 360; n++) {
    session(
      n.toString(16).padStart(16, '0'),
      { status: 'requesting' },
      { status: 'choosing', anchor },
      failed,
    )
    clock.advance(10_000)
  }
  lines.flush()
  expect(told.length).toBeLessThan(3 * 65)
  const failures = told.filter(({ fields }) => fields.status === 'failed')
  expect(failures.reduce((sum, { fields }) => sum + Number(fields.repeated ?? 1), 0)).toBe(360)
})

test('how far a fetch came is told before its failure', () => {
  lines.flush()
  told.length = 0
  const at = (chunks: number): SessionState => {
    return { status: 'fetching', anchor, chunks, chunksTotal: 9, bytes: chunks, bytesTotal: 9, providers: [] }
  }
  session('1', at(1), at(2), at(3), failed)
  expect(told.map(({ fields }) => fields.chunks ?? fields.status)).toEqual([1, 3, 'failed'])
})
