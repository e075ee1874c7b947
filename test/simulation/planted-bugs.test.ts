import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { edited, PLANTED_BUG, PLANTED_BUGS, sourceOf } from '../../scripts/simulate/planted-bugs.ts'
import type { Promised } from '../../src/testing/simulation/invariant.ts'

const run = promisify(execFile)
const PLANT = new URL('../../scripts/simulate/plant.ts', import.meta.url).href
const SEED = fileURLToPath(new URL('trace-of-seed.ts', import.meta.url))

const PROMISES: readonly Promised[] = [
  'one anchor, one content',
  'alive as long as needed',
  'never prune the only copy',
  'nothing unverified',
  'only members are served',
  'always an answer',
  'bounded',
  'any clock',
  'a mistake is told, not obeyed',
  'acknowledged writes are there once',
  'everyone gets in sync',
  'stop leaves nothing',
  'one version at a time',
]

test('there are enough of them, each has a name of its own, and every promise is broken by some', () => {
  expect(PLANTED_BUGS.length).toBeGreaterThanOrEqual(25)
  expect(new Set(PLANTED_BUGS.map(({ name }) => name)).size).toBe(PLANTED_BUGS.length)
  expect(new Set(PLANTED_BUGS.map(({ promise }) => promise))).toEqual(new Set(PROMISES))
})

test.each(PLANTED_BUGS)(
  '$name: its text is in the source once, and what comes of it can be loaded',
  (bug) => {
    const source = readFileSync(sourceOf(bug), 'utf8')
    const planted = edited(bug, source)
    expect(planted).not.toBe(source)
    expect(() => stripTypeScriptTypes(planted)).not.toThrow()
  },
)

test('a text that is not there any more is told of', () => {
  const bug = { ...PLANTED_BUGS[0]!, text: 'this is nowhere' }
  expect(() => edited(bug, readFileSync(sourceOf(bug), 'utf8'))).toThrow(/0 times/)
})

test('a process runs with the bug that its environment names, and none with a name that there is not', async () => {
  const traceOf = async (name: string | undefined) => {
    const env = { ...process.env, ...(name !== undefined && { [PLANTED_BUG]: name }) }
    return (
      await run(process.execPath, ['--import', PLANT, SEED, 'map', '0', '1', '2', '3', '4', '5'], { env })
    ).stdout
  }
  // Without a leader every run is another, whatever its seed draws.
  const [right, wrong] = await Promise.all([traceOf(undefined), traceOf('a claim is never made')])
  expect(wrong).not.toBe(right)
  await expect(traceOf('no such bug')).rejects.toThrow('there is no planted bug "no such bug"')
})
