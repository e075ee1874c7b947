import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import * as cli from '../src/cli/errors.ts'
import * as errors from '../src/error-classes.ts'
import { AnchorageError } from '../src/errors.ts'
import * as leases from '../src/leases/index.ts'
import { LogDamaged, LogUnusable } from '../src/log/errors.ts'
import { KeyTooLarge } from '../src/machine/errors.ts'
import * as machines from '../src/machines/index.ts'
import * as testing from '../src/testing/index.ts'
import * as testingLog from '../src/testing/log/index.ts'

type ErrorClass = (abstract new (...args: never[]) => Error) & { readonly code?: string }

const PUBLIC = classesOf({ ...errors, ...leases, ...machines, ...testing, ...testingLog })
/** About a value that breaks a limit: programs that tell a bad argument by its built-in class go on to do so. */
const OF_LIMITS = ['KeyTooLarge', 'SnapshotTooLarge', 'Unencodable']

function classesOf(exported: object): Map<string, ErrorClass> {
  const classes = Object.entries(exported).filter(
    (entry): entry is [string, ErrorClass] =>
      typeof entry[1] === 'function' && entry[1].prototype instanceof Error,
  )
  return new Map(classes)
}

function readPage(name: string): string {
  return readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8')
}

function inCapitals(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}

test.each([...PUBLIC, ...classesOf(cli)])('%s has its name in capitals as its code', (name, Kind) => {
  expect(Kind.code).toBe(inCapitals(name))
})

test('all descend from one root, but for those about a value that breaks a limit', () => {
  const others = [...PUBLIC].filter(
    ([, Kind]) => Kind !== AnchorageError && !(Kind.prototype instanceof AnchorageError),
  )
  expect(others.map(([name]) => name).sort()).toEqual(OF_LIMITS)
  for (const [, { prototype }] of others)
    expect(prototype instanceof RangeError || prototype instanceof TypeError).toBe(true)
})

test('an error has the code of its class, and not of the one that it descends from', () => {
  expect(new LogUnusable('x')).toMatchObject({ name: 'LogUnusable', code: 'LOG_UNUSABLE' })
  expect(new LogDamaged('x')).toMatchObject({ name: 'LogDamaged', code: 'LOG_DAMAGED' })
  expect(Object.keys(new LogUnusable('x'))).not.toContain('code')
  expect(new KeyTooLarge(2, 1)).toMatchObject({ name: 'KeyTooLarge', code: 'KEY_TOO_LARGE' })
})

test('the table of codes lists every public class, and nothing else', () => {
  const rows = readPage('error-codes.md').matchAll(/^\| `([A-Z_]+)` \| `(\w+)` \| [^|]+ \| [^|]+ \|$/gm)
  const listed = [...rows].map(([, code, name]) => `${code} ${name}`)
  const exported = [...PUBLIC].map(([name, { code }]) => `${code} ${name}`)
  expect(listed.sort()).toEqual(exported.sort())
})

test('what the table of codes says to look up in operations stands there', () => {
  const referred =
    /^\| `[A-Z_]+` \| `(\w+)` \|[^|]+\| \[see operations\]\(operations\.md#what-the-errors-mean\) \|$/gm
  const names = Array.from(readPage('error-codes.md').matchAll(referred), ([, name]) => name!)
  expect(names.length).toBeGreaterThan(20)
  const [, section = ''] = readPage('operations.md').split('## What the errors mean')
  for (const name of names) expect(section).toContain(`| \`${name}\``)
})
