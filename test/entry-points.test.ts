import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as errors from '../src/error-classes.ts'
import { ENTRY_POINTS } from './setup/entry-points.ts'

/** What `anchorage` may have: a person reads that many names in a minute. */
const ROOT_NAMES_MAX = 50

function read(path: string): string {
  return readFileSync(new URL(path, import.meta.url), 'utf8')
}

/** The names that the root exports, types too. */
function rootNames(): string[] {
  const lists = [...read('../src/index.ts').matchAll(/^export (?:type )?\{([^}]*)\} from /gm)]
  return lists.flatMap(([, list]) =>
    list!
      .split(',')
      .map((name) => name.trim().replace(/^type /, ''))
      .filter((name) => name !== ''),
  )
}

test('the root has few names, and passes on no whole module', () => {
  expect(rootNames().length).toBeGreaterThan(40)
  expect(rootNames().length).toBeLessThanOrEqual(ROOT_NAMES_MAX)
  expect(read('../src/index.ts')).not.toMatch(/^export (?:type )?\*/m)
})

test('docs/entry-points.md has each entry point, and no other', () => {
  const [table = ''] = read('../docs/entry-points.md').split('\n## ')
  const listed = [...table.matchAll(/^\| `(anchorage[^`]*)` \|/gm)].map(([, name]) => name!)
  expect(listed.sort()).toEqual([...ENTRY_POINTS.keys()].sort())
})

const ALL_ERRORS: ReadonlySet<unknown> = new Set(Object.values(errors))
const OF_PROGRAMS = [...ENTRY_POINTS].filter(([name]) => !name.startsWith('anchorage/testing'))

test.each(OF_PROGRAMS)('each class of error in %s is in anchorage/errors, too', async (_name, source) => {
  const exported = Object.values<unknown>(await import(source.href))
  const classes = exported.filter((value) => typeof value === 'function' && value.prototype instanceof Error)
  expect(classes.filter((Kind) => !ALL_ERRORS.has(Kind))).toEqual([])
})

test('anchorage/errors has classes of errors only', () => {
  const others = Object.entries(errors).filter(([, Kind]) => !(Kind.prototype instanceof Error))
  expect(others).toEqual([])
})
