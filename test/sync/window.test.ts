import { expect, test } from 'vitest'
import { WINDOW_CHUNKS, WINDOW_QUEUE_MS, Window } from '../../src/sync/fetching/chunks/window.ts'
import { WINDOW_CHUNKS_MAX, WINDOW_CHUNKS_MIN } from '../../src/sync/limits.ts'

/** A provider that is always asked for as much as the window allows: a chunk takes `perChunkMs`, a request `roundTripMs`. */
function settled(perChunkMs: number, roundTripMs: number): Window {
  const window = new Window()
  const asked: number[] = []
  let freeMs = 0
  for (let nowMs = 0, n = 0; n < 200; n++) {
    while (asked.length < window.chunks) asked.push(nowMs)
    const askedMs = asked.shift()!
    freeMs = Math.max(freeMs, askedMs + roundTripMs) + perChunkMs
    nowMs = freeMs
    window.arrived(askedMs, nowMs)
  }
  return window
}

test.each([
  ['a slow one: one on its way, and one to follow', 125, 1, WINDOW_CHUNKS_MIN],
  ['a quick one that is near', 10, 1, Math.round((10 + 1 + WINDOW_QUEUE_MS) / 10)],
  ['a quick one that is far: twice what its line holds', 20, 80, Math.round((2 * (20 + 80)) / 20)],
  ['a very quick one: no more than is good for memory', 1, 200, WINDOW_CHUNKS_MAX],
  ['one that is as far as the moon', 125, 2_560, WINDOW_CHUNKS_MAX],
])('%s', (_what, perChunkMs, roundTripMs, chunks) => {
  expect(settled(perChunkMs, roundTripMs).chunks).toBe(chunks)
})

test('as long as nothing is known the window is what a session begins with', () => {
  const window = new Window()
  expect(window.chunks).toBe(WINDOW_CHUNKS)
  // Within one tick of the clock: that says nothing about speed.
  window.arrived(5, 5)
  expect(window.chunks).toBe(WINDOW_CHUNKS)
})

test('it follows a provider that becomes slower', () => {
  const window = new Window()
  let nowMs = 0
  const send = (chunks: number, perChunkMs: number) => {
    for (let n = 0; n < chunks; n++) {
      window.arrived(nowMs, nowMs + perChunkMs)
      nowMs += perChunkMs
    }
  }
  send(50, 5)
  expect(window.chunks).toBe(11)
  send(50, 100)
  expect(window.chunks).toBe(WINDOW_CHUNKS_MIN)
})
