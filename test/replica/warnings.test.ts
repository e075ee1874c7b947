import { afterEach, beforeEach, expect, type MockInstance, test, vi } from 'vitest'
import { EventReporter } from '../../src/observe/event-reporter.ts'
import type { Logger } from '../../src/replica/warnings.ts'
import { allowFault } from '../setup/strict.ts'
import { Cluster, FlakyLog, leads, next } from './cluster.ts'
import { line } from './journal.ts'

const STAMP = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /
let stderr: MockInstance<typeof console.warn>

beforeEach(() => {
  stderr = vi.spyOn(console, 'warn').mockImplementation(() => {})
})

afterEach(() => {
  stderr.mockRestore()
})

/** What was written to standard error of one replica, without time and name. */
function told(id: string): string[] {
  const begin = `anchorage: replica ${id} of group "journals": `
  return stderr.mock.calls.flatMap(([text, ...more]) => {
    expect([text, more]).toEqual([expect.stringMatching(STAMP), []])
    expect(text).not.toContain('\n')
    const [, message = ''] = text.split(STAMP)
    return message.startsWith(begin) ? [message.slice(begin.length)] : []
  })
}

/** Keeps what it is told. */
class Notes implements Logger {
  readonly #notes: (readonly [message: string, error: Error | undefined])[] = []

  get all(): readonly (readonly [message: string, error: Error | undefined])[] {
    return this.#notes
  }

  warn(message: string, error?: Error): void {
    this.#notes.push([message, error])
  }
}

test('a halt that nobody listens for is a line on standard error, once', async () => {
  await using cluster = new Cluster({ isMute: false })
  const { replica } = await cluster.start()
  await replica.inSync()
  await expect(replica.submit(line('unbearable'))).rejects.toMatchObject({ name: 'ApplyFailed' })
  expect(told(replica.id)).toEqual([
    expect.stringMatching(
      /^is halted: the state machine failed .* the journal tore; mend the machine and restart \(ApplyFailed; it applies nothing any more until it is restarted, and serves what it offers\)$/,
    ),
  ])
})

test.each([
  ['state', 0],
  ['problem', 1],
] as const)('who listens for %s is told of a halt on standard error %d times', async (type, times) => {
  await using cluster = new Cluster({ isMute: false })
  const { replica } = await cluster.start()
  replica.addEventListener(type, () => {})
  await replica.inSync()
  await expect(replica.submit(line('unbearable'))).rejects.toThrow('tore')
  expect(told(replica.id)).toHaveLength(times)
})

test('a problem that comes again is a line once, whatever number it has', async () => {
  await using cluster = new Cluster({ isMute: false })
  const log = new FlakyLog(cluster.log)
  log.failure = new Error('the disk\ncannot be read: 7')
  log.readable = 'bounds'
  const { replica } = await cluster.start({ log })
  const seen = Promise.withResolvers<void>()
  replica.addEventListener('problem', () => seen.resolve(), { once: true })
  await seen.promise
  // Nobody listens from here on.
  log.failure = new Error('the disk\ncannot be written: 8')
  await vi.waitFor(() => expect(told(replica.id)).toHaveLength(1), 10_000)
  log.failure = new Error('the disk\ncannot be written: 9')
  log.readable = 'all'
  await replica.inSync()
  expect(told(replica.id)).toEqual(['the disk cannot be written: 8 (Error; the replica goes on)'])
})

test('a logger is told in the place of standard error, with the error, though somebody listens', async () => {
  await using cluster = new Cluster({ isMute: false })
  const logger = new Notes()
  const { replica } = await cluster.start({ logger })
  replica.addEventListener('state', () => {})
  await replica.inSync()
  const error = await replica.submit(line('unbearable')).catch((error: unknown) => error)
  expect(logger.all).toEqual([
    [
      expect.stringMatching(
        new RegExp(`^anchorage: replica ${replica.id} of group "journals": is halted: .* tore`),
      ),
      error,
    ],
  ])
  expect(told(replica.id)).toEqual([])
})

test('without a logger, nobody is told', async () => {
  await using cluster = new Cluster({ isMute: false })
  const { replica } = await cluster.start({ logger: false })
  await replica.inSync()
  await expect(replica.submit(line('unbearable'))).rejects.toThrow()
  expect(told(replica.id)).toEqual([])
})

test('whoever reports all events, as the command line does, is not doubled', async () => {
  await using cluster = new Cluster({ isMute: false })
  const { replica } = await cluster.start()
  const reported: string[] = []
  const reporter = EventReporter.listening(replica, ({ type }) => void reported.push(type))
  await replica.inSync()
  await expect(replica.submit(line('unbearable'))).rejects.toThrow()
  reporter.flush()
  expect([reported.at(-1), told(replica.id)]).toEqual(['state', []])
})

test('a logger that throws harms nobody', async () => {
  allowFault(/ListenerFailed.*an event listener failed/)
  await using cluster = new Cluster({ isMute: false })
  const logger = {
    warn() {
      throw new Error('the logger is full')
    },
  }
  const { replica } = await cluster.start({ logger })
  await replica.inSync()
  await expect(replica.submit(line('unbearable'))).rejects.toMatchObject({ name: 'ApplyFailed' })
})

test('a replica that finds no state says so, and what there is to do', async () => {
  await using cluster = new Cluster({ isMute: false })
  const first = await cluster.start()
  await leads(first.replica)
  await first.replica.submit(line('a'))
  await first.replica.prune({ keepEntries: 0 })
  await first.replica.stop()
  const { replica } = await cluster.start()
  await expect(replica.inSync()).rejects.toMatchObject({ name: 'StateLost' })
  expect(told(replica.id)).toContainEqual(
    expect.stringMatching(/^is lost: the log begins with entry \d+.*looking for a state\)$/),
  )
})

test('a dispute is told with the roots, and what to do', async () => {
  await using cluster = new Cluster({ isMute: false })
  const [first, second] = await cluster.startLed(1)
  second!.journal.twist = (text) => `${text}!`
  await first.replica.submit(line('a'))
  await second!.replica.barrier()
  const disputed = next(first.replica, 'disputed')
  const anchor = await first.replica.mark()
  await disputed
  const [text, ...more] = told(second!.replica.id)
  expect(more).toEqual([])
  for (const { replica } of [first, second!])
    expect(text).toContain(`${replica.id} has ${Buffer.from(await replica.rootAt(anchor)).toString('hex')}`)
  expect(text).toContain('checkMachine()')
})

test('a divergence is told by each replica, by name', async () => {
  await using cluster = new Cluster({ isMute: false })
  const first = await cluster.start({ ttlMs: 60_000 })
  await leads(first.replica)
  const others = [await cluster.start({ lead: false }), await cluster.start({ lead: false })]
  const wrong = others[1]!
  await Promise.all(others.map(({ replica }) => replica.inSync()))
  wrong.journal.twist = (text) => `${text}!`
  await first.replica.submit(line('a'))
  await Promise.all(others.map(({ replica }) => replica.barrier()))
  await first.replica.mark()
  await vi.waitFor(() => {
    expect(told(wrong.replica.id)).toEqual([expect.stringMatching(/^its root at .* checkMachine\(\)/)])
    expect(told(first.replica.id)).toEqual([
      expect.stringContaining(`the root of replica ${wrong.replica.id} at`),
    ])
  }, 10_000)
})
