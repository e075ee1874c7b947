import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { checkCatchUps, checkWrites } from '../../scripts/chaos/checks.ts'
import { endsLife, FAULT_KINDS, type Fault, isDiskFault } from '../../scripts/chaos/fault.ts'
import { Ledger, markOf } from '../../scripts/chaos/ledger.ts'
import { parseOptions } from '../../scripts/chaos/options.ts'
import { type ChaosReport, reportText, timesOf } from '../../scripts/chaos/report.ts'
import { Schedule, type ScheduleInit } from '../../scripts/chaos/schedule.ts'
import { codeOf } from '../../scripts/chaos/tally.ts'
import type { Write } from '../../scripts/chaos/writers.ts'
import { encodeControl } from '../../src/group/control.ts'
import { jsonCodec, stringCodec } from '../../src/machine/codec.ts'
import { MapCommands } from '../../src/machines/map/map-commands.ts'

const CHAOS = fileURLToPath(new URL('../../scripts/chaos.ts', import.meta.url))

function chaos(...args: string[]) {
  // A machine without servers is the same everywhere.
  const env = { ...process.env, NATS_SERVER: '/nowhere/nats-server', POSTGRES_BIN: '/nowhere' }
  return spawnSync(process.execPath, [CHAOS, ...args], { encoding: 'utf8', env })
}

describe('the command line', () => {
  test.each([
    ['nats', 'nats-server'],
    ['postgres', 'PostgreSQL'],
  ])('where the servers of %s are missing, that is told', (log, what) => {
    const { status, stdout, stderr } = chaos('--log', log, '--rounds', '1')
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
    expect(stderr).toMatch(new RegExp(`^error: ${what} is not installed: .*\n$`, 'm'))
    expect(stderr).not.toContain('    at ')
  })

  test('--help says what there is', () => {
    const { status, stdout } = chaos('--help')
    expect(status).toBe(0)
    for (const option of ['--minutes', '--rounds', '--log', '--replicas', '--seed', '--json', '--verbose'])
      expect(stdout).toContain(option)
  })

  test.each([
    [['--log', 'postgers'], /^there is no log postgers; give one of sqlite, nats, postgres$/],
    [['--minutes', '0'], /^--minutes is 0; give a number above 0$/],
    [['--minutes', 'soon'], /^--minutes is soon;/],
    [['--replicas', '2'], /^--replicas is 2; give an integer from 3 to 9$/],
    [['--seed', '1.5'], /^--seed is 1.5;/],
    [['--rounds', '0'], /^--rounds is 0;/],
    [['--minuets', '1'], /--minuets/],
    [['1'], /1/],
  ])('%j is refused', (args, message) => {
    expect(() => parseOptions(args)).toThrow(message)
  })

  test('what is not said has a default, and the seed is another one each time', () => {
    const options = parseOptions([])!
    expect(options).toMatchObject({ minutes: 5, log: 'sqlite', replicas: 4, json: false })
    expect(parseOptions([])!.seed).not.toBe(options.seed)
    expect(parseOptions(['--seed', '7', '--log', 'nats', '--minutes', '0.5'])).toMatchObject({
      seed: 7,
      log: 'nats',
      minutes: 0.5,
    })
  })
})

describe('the schedule', () => {
  const INIT: ScheduleInit = { seed: 1, log: 'sqlite', replicas: 4, servers: 0, disks: true }
  const rounds = (init: Partial<ScheduleInit> = {}) => {
    const schedule = new Schedule({ ...INIT, ...init })
    return Array.from({ length: 300 }, (_, n) => schedule.round(n + 1))
  }
  const kinds = (all: readonly (readonly Fault[])[]) => new Set(all.flat().map(({ kind }) => kind))

  test('is the same for the same seed, and another one for another', () => {
    expect(rounds()).toEqual(rounds())
    expect(rounds({ seed: 2 })).not.toEqual(rounds())
  })

  test('has every fault that there is, of the log that there is', () => {
    const nats = { log: 'nats', servers: 3 } as const
    const postgres = { log: 'postgres', servers: 2 } as const
    const all = [...rounds(), ...rounds(nats), ...rounds(postgres)]
    expect(kinds(all)).toEqual(new Set(FAULT_KINDS))
    expect(kinds(rounds()).has('kill-server')).toBe(false)
    expect(kinds(rounds(nats)).has('lock-log')).toBe(false)
    expect(kinds(rounds(nats)).has('promote-server')).toBe(false)
    expect(kinds(rounds({ disks: false })).has('full-disk')).toBe(false)
  })

  test('aims at what is there, and leaves the group a copy of its state', () => {
    for (const faults of [...rounds(), ...rounds({ log: 'nats', servers: 3 })]) {
      for (const { kind, target } of faults) expect(target).toBeLessThan(kind.endsWith('-server') ? 3 : 4)
      const damaged = faults.filter(({ kind }) => isDiskFault(kind))
      expect(damaged.length).toBeLessThan(2)
      if (damaged.length === 0) continue
      expect(faults.some(({ kind }) => kind === 'kill-all')).toBe(false)
      const ended = new Set(faults.filter(({ kind }) => endsLife(kind)).map(({ target }) => target))
      expect(ended.size).toBeLessThan(3)
    }
  })
})

describe('checks against a log that was made up', () => {
  const commands = new MapCommands<string, string>(stringCodec, jsonCodec())
  const SET = commands.set('key', 'one')
  const REPLACED = { replaced: true }
  const ADDED = { replaced: false }

  function ledgerOf(...payloads: readonly Uint8Array[]): Ledger {
    const ledger = new Ledger()
    for (const [n, payload] of payloads.entries()) add(ledger, n + 1, payload)
    return ledger
  }

  function add(ledger: Ledger, index: number, payload: Uint8Array, kind: 'command' | 'control' = 'command') {
    const author = kind === 'command' ? 'a' : 'leader'
    ledger.add({ index, timestampMs: 1_000 + index, author, id: `id-${index}`, epoch: 'e', kind, payload })
  }

  function write(fields: Partial<Write> = {}): Write {
    return {
      what: 'a set',
      mark: markOf(SET),
      isUnique: true,
      author: 'a',
      told: { index: 1, result: ADDED },
      code: undefined,
      ...fields,
    }
  }

  function found(writes: readonly Write[], ledger: Ledger): string[] {
    const broken: string[] = []
    checkWrites(writes, ledger, (promise, message) => broken.push(`${promise}: ${message}`))
    return broken
  }

  test('a write at its place is as it should be, and one that may have been lost too', () => {
    const ledger = ledgerOf(SET)
    expect(found([write(), write({ told: undefined, code: 'APPEND_UNCERTAIN' })], ledger)).toEqual([])
    expect(found([write({ mark: markOf(commands.clear()), told: undefined })], ledger)).toEqual([])
  })

  test.each<[string, Write, readonly Uint8Array[], RegExp]>([
    ['a lost write', write(), [], /^acknowledged writes are there once: a set was acknowledged as entry 1/],
    ['a displaced write', write(), [commands.clear(), SET], /^acknowledged .* as entry 1, which is another/],
    ['a doubled write', write(), [SET, SET], /^acknowledged .* in the log twice, at 1 and 2/],
    ['a doubled write without an answer', write({ told: undefined }), [SET, SET], /twice, at 1 and 2/],
    ['a write of somebody else', write({ author: 'b' }), [SET], /acknowledged by b .* which is of a/],
    [
      'another result',
      write({ told: { index: 1, result: REPLACED } }),
      [SET],
      /^one anchor, one content: a set gave {"replaced":true}, and at 1 it gives {"replaced":false}/,
    ],
    [
      'a refusal that was none',
      write({ told: undefined, code: 'LOG_BUSY' }),
      [SET],
      /^always an answer: a set was refused with LOG_BUSY, and is in the log at 1/,
    ],
  ])('%s is found', (_, one, payloads, message) => {
    const broken = found([one], ledgerOf(...payloads))
    expect(broken).toHaveLength(1)
    expect(broken[0]).toMatch(message)
  })

  test('what may be repeated may be there twice', () => {
    const clear = commands.clear()
    const one = write({ mark: markOf(clear), isUnique: false, told: { index: 2, result: 0 } })
    expect(found([one], ledgerOf(clear, clear))).toEqual([])
  })

  test('a state that nobody sealed is found, and one that the electorate sealed is not', () => {
    const ledger = new Ledger()
    const marker = {
      type: 'marker',
      term: 1,
      electorate: ['leader'],
      requesters: [],
      chunkBytes: 16_384,
    } as const
    const told = () => {
      const broken: string[] = []
      checkCatchUps([{ who: 'b', anchor: 2, totalMs: 1 }], ledger, (promise) => broken.push(promise))
      return broken
    }
    add(ledger, 1, encodeControl({ type: 'claim', term: 1 }), 'control')
    add(ledger, 2, encodeControl(marker), 'control')
    expect(told()).toEqual(['nothing unverified'])
    const root = Uint8Array.of(1)
    add(ledger, 3, encodeControl({ type: 'attestation', anchor: 2, root }), 'control')
    expect(told()).toEqual([])
    expect(ledger.markersAMinute).toBe(1)
  })

  test('the content is the same whatever is forgotten, and a gap in the log is not passed over', () => {
    const ledger = ledgerOf(SET, commands.set('other', 'two', { ttlMs: 10 }))
    const digest = ledger.digest(1_002)
    ledger.forget(1)
    expect([ledger.digest(1_002), ledger.at(1), ledger.placesOf(markOf(SET))]).toEqual([
      digest,
      undefined,
      [],
    ])
    expect(ledger.digest(1_012)).not.toBe(digest)
    expect(() => add(ledger, 4, SET)).toThrow(RangeError)
  })
})

describe('the report', () => {
  const report: ChaosReport = {
    seed: 7,
    log: 'sqlite',
    replicas: 4,
    rounds: 2,
    tookMs: 30_000,
    faults: { kill: 2, wipe: 1 },
    writes: { acknowledged: 1_000, errors: { PROCESS_ENDED: 3 } },
    catchUps: timesOf([100, 300, 200]),
    settling: timesOf([]),
    length: { entries: 1_100, largest: 503 },
    markersAMinute: 4,
    largestRssBytes: 200 * 1024 * 1024,
    problems: {},
    leftOut: ['full-disk: nobody may mount'],
    broken: [],
    brokenCount: 0,
  }

  test('says what was done and what came of it', () => {
    const text = reportText(report)
    expect(text).toMatch(/^run +2 rounds in 30 s, 4 replicas on sqlite, seed 7$/m)
    expect(text).toMatch(/^faults +3: kill 2, wipe 1$/m)
    expect(text).toMatch(/^catch-ups +3: median 200 ms, p99 300 ms, at most 300 ms$/m)
    expect(text).toMatch(/^memory +at most 200 MiB/m)
    expect(text).toMatch(/^left out +full-disk/m)
    expect(text).toMatch(/^broken +no promise$/m)
  })

  test('shows a broken promise with what happened before', () => {
    const timeline = ['1.000 a killed']
    const broken = [{ promise: 'bounded', message: 'it grew', round: 2, timeline }] as const
    expect(reportText({ ...report, broken, brokenCount: 1 })).toMatch(
      /^broken +1 promises\n\nBROKEN in round 2: bounded: it grew\n {2}1\.000 a killed\n$/m,
    )
  })
})

test('errors of Anchorage and of the system have a code, and others have none', () => {
  const names = [
    'CheckpointDamaged',
    'NoProvider',
    'LogBusy',
    'ProcessEnded',
    'SnapshotTooLarge',
    'PruneRefused',
  ]
  expect(names.map((name) => codeOf({ name, message: '' }))).not.toContain(undefined)
  expect(codeOf({ name: 'Error', message: 'ENOSPC: no space left on device, write' })).toBe('ENOSPC')
  expect(codeOf({ name: 'TypeError', message: 'it is undefined' })).toBe(undefined)
})
