import { DatabaseSync } from 'node:sqlite'
import { expect, test } from 'vitest'
import { CheckpointDamaged } from '../src/checkpoint/errors.ts'
import * as errors from '../src/error-classes.ts'
import { AnchorageError } from '../src/errors.ts'
import * as leases from '../src/leases/index.ts'
import { LogTruncated, LogUnavailable, LogUnusable } from '../src/log/errors.ts'
import { KeyTooLarge } from '../src/machine/errors.ts'
import * as machines from '../src/machines/index.ts'
import { ERROR_CLASSES } from '../src/processes/error-classes.ts'
import { StateLost } from '../src/replica/errors.ts'
import { deserializeError, serializeError } from '../src/serialized-error.ts'
import { NoProvider } from '../src/sync/errors.ts'
import { Busy } from '../src/sync/wire/errors.ts'
import * as testing from '../src/testing/index.ts'
import * as testingLog from '../src/testing/log/index.ts'
import { ThrownValue } from '../src/thrown.ts'

/** As a thread or a process gets it. */
function sent(thrown: unknown): Error {
  return deserializeError(structuredClone(serializeError(thrown)), ERROR_CLASSES)
}

function thrownBy(call: () => unknown): Error {
  try {
    call()
  } catch (error) {
    return error as Error
  }
  throw new Error('nothing was thrown')
}

test.each([
  new LogTruncated(3, 9, { place: 'a.db' }),
  new Busy('not now', 250),
  new KeyTooLarge(9, 8),
  new CheckpointDamaged('a.checkpoint', 'it is torn'),
  new testing.NoSuchMethod('subtract', ['add']),
])('$name comes back as itself', (error) => {
  const back = sent(error)
  expect(back).toBeInstanceOf(error.constructor)
  expect(back).toStrictEqual(error)
  expect(Object.entries(back)).toEqual(Object.entries(error))
  expect(back.stack).toBe(error.stack)
})

test('causes come back as themselves, each with its fields', () => {
  const refusals = new Map([['12D3', new Error('no')]])
  const cause = new NoProvider('nobody', { faults: [{ peer: '12D3', what: 'it lied' }], refusals })
  const back = sent(new StateLost(7, cause))
  expect(back).toMatchObject({ name: 'StateLost', code: 'STATE_LOST', first: 7 })
  expect(back.cause).toBeInstanceOf(NoProvider)
  expect(back.cause).toMatchObject({ faults: cause.faults, message: cause.message })
})

test("a system's error keeps its code, number and call", () => {
  const fields = { code: 'ENOSPC', errno: -28, syscall: 'write' }
  const cause = Object.assign(new Error('no space left on device'), fields)
  expect(sent(new LogUnusable('its disk is full', { cause })).cause).toMatchObject(fields)
})

test("a user's error whose code is one of ours by chance stays the user's", () => {
  const back = sent(Object.assign(new Error('their own'), { code: 'EXPIRED', key: 'a' }))
  expect(back.constructor).toBe(Error)
  expect(back).toMatchObject({ name: 'Error', message: 'their own', code: 'EXPIRED', key: 'a' })
})

test('an error of ours may be given another code, and then comes back with it', () => {
  const error = Object.assign(new Busy('not now', 250), { code: 'THEIR_CODE' })
  expect(error.code).toBe('THEIR_CODE')
  expect(sent(error)).toMatchObject({ name: 'Busy', code: 'THEIR_CODE', retryMs: 250 })
})

test("a database's error keeps its number", () => {
  const error = thrownBy(() => new DatabaseSync(':memory:').exec('no SQL'))
  expect(sent(error)).toMatchObject({ message: error.message, code: 'ERR_SQLITE_ERROR', errcode: 1 })
})

test('a built-in class comes back as itself, and any other as an error of its name', () => {
  expect(sent(new RangeError('too large'))).toBeInstanceOf(RangeError)
  const other = sent(new DOMException('enough', 'AbortError'))
  expect([other.name, other.message, String(other)]).toEqual(['AbortError', 'enough', 'AbortError: enough'])
  expect(Object.keys(other)).not.toContain('name')
})

test('a class of ours that the receiver does not list is told by its code and name', () => {
  const back = deserializeError(serializeError(new Busy('not now', 250)), [LogUnavailable])
  expect(back).not.toBeInstanceOf(Busy)
  expect(back).toMatchObject({ name: 'Busy', code: 'BUSY', message: 'not now', retryMs: 250 })
})

test('what cannot be cloned is left out', () => {
  expect(sent(Object.assign(new Error('why'), { retry: () => {}, attempts: 3 }))).toMatchObject({
    message: 'why',
    attempts: 3,
  })
})

test('what is no error comes back as a thrown value', () => {
  expect(sent('a word')).toBeInstanceOf(ThrownValue)
  expect(sent('a word')).toMatchObject({ message: 'a word', value: 'a word' })
})

test('an error that is its own cause comes to an end', () => {
  const error = new Error('why')
  error.cause = new Error('because', { cause: error })
  expect(sent(error).cause).toMatchObject({ message: 'because' })
})

test('a test cluster gives back every public class but those of checks, which stay in their process', () => {
  const exported = Object.values({ ...errors, ...leases, ...machines, ...testing, ...testingLog }).filter(
    (value) => typeof value === 'function' && value.prototype instanceof Error,
  )
  const others = exported.filter((Kind) => !ERROR_CLASSES.some((known) => known === Kind))
  expect(new Set(others)).toEqual(
    new Set([AnchorageError, testing.SimulationFailed, testing.MachineFault, testingLog.LogFault]),
  )
})
