import { describe, expect, test } from 'vitest'
import { checkStreamName, encodeName, streamName } from '../../../src/log/jetstream/names.ts'

/**
 * The longest name of a file, and so of a stream. The stream of a bucket has a name that begins with `KV_`.
 */
const NAME_LENGTH_MAX = 255

describe('the stream of a group', () => {
  test.each([
    ['cities', 'anchorage-cities'],
    ['a_b ü', 'anchorage-a_5fb_20_c3_bc'],
    ['g'.repeat(190), `anchorage-${'g'.repeat(190)}`],
  ])('is called after %s', (group, name) => {
    expect(streamName(group)).toBe(name)
  })

  test.each([
    ['letters', 'g'.repeat(191)],
    ['letters, and one other at the end', `${'g'.repeat(190)}ü`],
    ['others, of which each counts more in the name of the bucket', 'ü'.repeat(30)],
    ['the longest', '💾'.repeat(128)],
  ])('has the beginning and a hash of a long name: %s', (_what, group) => {
    const name = streamName(group)
    expect(() => checkStreamName(name)).not.toThrow()
    expect(`KV_${encodeName(name)}`.length).toBeLessThanOrEqual(NAME_LENGTH_MAX)
    expect(streamName(group)).toBe(name)
    expect(streamName(`${group.slice(0, -2)}xy`)).not.toBe(name)
    expect(name).toMatch(/^anchorage-[\w]{50}-[0-9a-f]{32}$/)
  })
})

describe('a name that is given', () => {
  test.each(['a', 'x'.repeat(200), 'A-b_9', '_'.repeat(84)])('may be %s', (name) => {
    expect(() => checkStreamName(name)).not.toThrow()
  })

  test.each(['', 'a.b', 'a b', 'ü', '*', 'x'.repeat(201), '_'.repeat(85)])('may not be "%s"', (name) => {
    expect(() => checkStreamName(name)).toThrow(RangeError)
  })
})
