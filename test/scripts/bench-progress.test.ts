import { expect, test } from 'vitest'
import { formatDuration, Progress } from '../../scripts/bench/progress.ts'

function progressTo(isTTY: boolean): string {
  let written = ''
  const write = (text: string) => {
    written += text
  }
  const progress = new Progress({ isTTY, write }, 2)
  progress.begin('transfer')
  progress.begin('growth')
  progress.end()
  return written
}

test('a terminal is told what is being measured, on one line, and in the end how long it all took', () => {
  expect(progressTo(true).split('\r\x1b[K')).toEqual([
    '',
    expect.stringMatching(/^measuring transfer \(1 of 2, .* so far\)$/),
    expect.stringMatching(/^measuring growth \(2 of 2, .* so far\)$/),
    expect.stringMatching(/^measured 2 of 2 in .*\n$/),
  ])
})

test('a file or a pipe is told nothing', () => {
  expect(progressTo(false)).toBe('')
})

test.each([
  [0, '0 s'],
  [59_400, '59 s'],
  [59_600, '1 min 0 s'],
  [605_000, '10 min 5 s'],
])('%d ms are %s', (ms, text) => {
  expect(formatDuration(ms)).toBe(text)
})
