import { expect, test } from 'vitest'
import type { Assembly } from '../../src/sync/fetching/chunks/assembly.ts'
import { FetchState } from '../../src/sync/fetching/chunks/fetch-state.ts'
import { ProviderPool } from '../../src/sync/fetching/chunks/provider-pool.ts'
import { SESSION_EDGES } from '../../src/sync/fetching/session-state.ts'
import { checkTransition, IllegalTransition } from '../../src/sync/fetching/transitions.ts'
import { Expired } from '../../src/sync/wire/errors.ts'
import { VirtualClock } from '../../src/time/virtual-clock.ts'

const assembly = () =>
  ({ abandon: () => {}, built: new Promise(() => {}) }) as Pick<Assembly, 'abandon' | 'built'> as Assembly

test('a step that is drawn may be made', () => {
  checkTransition('a session', SESSION_EDGES, 'verifying', 'fetching')
})

test('a step that is not drawn throws, with both states in the error', () => {
  const step = () => checkTransition('a session', SESSION_EDGES, 'installing', 'fetching')
  expect(step).toThrow(IllegalTransition)
  expect(step).toThrow('a session cannot go from installing to fetching')
})

test('nothing follows the end of a session', () => {
  expect([SESSION_EDGES.done, SESSION_EDGES.failed]).toEqual([[], []])
})

test('a fetch does not begin anew once every chunk is verified', () => {
  const state = new FetchState()
  const first = assembly()
  state.fetch(first)
  state.fetch(assembly())
  state.build(state.assembly!, { control: new Uint8Array(), chunks: [], root: new Uint8Array(32) })
  expect(() => state.fetch(assembly())).toThrow('a fetch cannot go from building to fetching')
})

test('a fetch that is over holds nothing, and is not over twice', async () => {
  const state = new FetchState()
  state.fetch(assembly())
  state.end(new Error('the anchor was left'))
  state.end(new Error('again'))
  expect([state.status, state.assembly]).toEqual(['over', undefined])
  await expect(state.complete).rejects.toThrow('the anchor was left')
})

test('a provider that is gone does not rest', () => {
  const pool = new ProviderPool(new VirtualClock())
  pool.open('a')
  pool.failed('a', new Expired('too late'))
  expect(() => pool.busy('a', 100)).toThrow('a provider cannot go from gone to resting')
})
