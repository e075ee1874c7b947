import { existsSync } from 'node:fs'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Place, type Printed } from './anchorage.ts'

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const leads = ({ event }: Printed) => event === 'leader'
const inSync = ({ event, detail }: Printed) => event === 'state' && detail.state === 'in-sync'
const halts = ({ event, detail }: Printed) => event === 'state' && detail.state === 'halted'
/** Of SQLite. */
const PAGE_BYTES = 4_096
const NODE = ['node', '--lease-ms', '1000']

/** A replica that has written a key, and was stopped. */
async function lived(dataDir: string): Promise<void> {
  const node = place.start([...NODE, '--data', dataDir])
  await node.until(leads)
  expect((await place.run(['set', 'a', '1'])).code).toBe(0)
  expect(await node.interrupt()).toBe(0)
}

describe('a log that is not there', () => {
  test.each([
    [['set', 'key', '1']],
    [['load', '-']],
    [['get', 'key']],
    [['delete', 'key']],
    [['status']],
    [['export', 'file']],
    [['verify']],
  ])('%j does not make one', async (args) => {
    const { code, stdout, stderr } = await place.run([...args, '--log', 'typo.db'])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^anchorage: there is no log at typo\.db: .*--log.*--create\n$/)
    expect((await readdir(place.dir)).filter((name) => name.startsWith('typo.db'))).toEqual([])
  })

  test('a replica tells that it makes one', async () => {
    const node = place.start(NODE)
    let said = ''
    node.child.stderr!.on('data', (chunk) => (said += chunk))
    await node.until(leads)
    expect(await node.interrupt()).toBe(0)
    expect(said).toBe('{"note":"there was no log at ./anchorage.db: made an empty one"}\n')
  })
})

describe('a data directory with the state of another log', () => {
  test('a replica does not begin with an empty log, unless it is told to', async () => {
    await lived('data')
    await rename(place.path('anchorage.db'), place.path('lost.db'))
    const refused = await place.run([...NODE, '--data', 'data'])
    expect({ ...refused, stderr: '' }).toEqual({ code: 3, stdout: '', stderr: '' })
    expect(refused.stderr).toMatch(/^anchorage: the data directory \S+data holds 1 item .*--new-log\)\n$/)
    expect(existsSync(place.path('anchorage.db'))).toBe(false)

    // A mistyped group is another log, too.
    expect((await place.run([...NODE, '--data', 'data', '--group', 'typo'])).code).toBe(3)
    expect(existsSync(place.path('anchorage.db'))).toBe(false)

    // Somebody without a state has begun a log there.
    const other = place.start([...NODE, '--data', 'empty'])
    await other.until(leads)
    const again = await place.run([...NODE, '--data', 'data'])
    expect(again).toMatchObject({ code: 3, stderr: expect.stringContaining('the log that was opened is of') })
    expect(await other.interrupt()).toBe(0)

    for (const told of [['--new-log'], []]) {
      const node = place.start([...NODE, '--data', 'data', ...told])
      await node.until(inSync)
      expect(await node.interrupt('SIGTERM')).toBe(0)
    }
    const found = place.start([...NODE, '--data', 'data', '--log', 'lost.db'])
    await found.until(({ event, detail }) => event === 'checkpoint' && detail.type === 'loaded')
    expect(await found.interrupt()).toBe(0)
  })

  test('when the log is deleted under a replica it ends, keeps its state, and tells supervisors', async () => {
    const node = place.start([...NODE, '--data', 'data', '--log', 'gone.db'])
    let said = ''
    node.child.stderr!.on('data', (chunk) => (said += chunk))
    await node.until(leads)
    expect((await place.run(['set', 'a', '1', '--log', 'gone.db'])).code).toBe(0)
    await rm(place.path('gone.db'))
    await node.until(halts)
    expect(await node.exitCode).toBe(3)
    const problems = node.printed.filter(({ event }) => event === 'problem')
    expect(problems).toEqual([])
    const error = JSON.parse(said.trim().split('\n').at(-1)!).error
    expect(error.name).toBe('ReplicaHalted')
    expect(error.message).toMatch(/\(EpochChanged\).*deleted.*its checkpoints are in data\/checkpoints$/)

    const [checkpoint] = await place.list('data/checkpoints', '.checkpoint')
    // The directory that it had will do.
    const target = ['--log', 'new.db', '--data', 'data']
    const imported = await place.run(['import', `data/checkpoints/${checkpoint}`, ...target])
    expect(imported).toMatchObject({ code: 0, stderr: '' })
    const again = place.start([...NODE, ...target])
    await again.until(leads)
    expect((await place.run(['get', 'a', '--log', 'new.db'])).stdout).toBe('1\n')
  })
})

describe('files', () => {
  test('export writes over nothing, unless it is told to, and says so before it waits', async () => {
    await lived('data')
    await writeFile(place.path('mine'), 'mine')
    // Nobody runs who could make a snapshot.
    const refused = await place.run(['export', 'mine'])
    expect(refused).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringMatching(/mine is there already.*--force/),
    })
    expect(await readFile(place.path('mine'), 'utf8')).toBe('mine')
    for (const [file, why] of [
      ['.', 'is a directory'],
      ['missing/file', 'cannot be written: ENOENT'],
      ['mine/file', 'cannot be written: ENOTDIR'],
    ] as const) {
      const { code, stderr } = await place.run(['export', file])
      expect(code).toBe(2)
      expect(stderr).toMatch(/^anchorage: [^\n]+\n$/)
      expect(stderr).toContain(why)
    }

    const node = place.start([...NODE, '--data', 'data'])
    await node.until(inSync)
    expect(await place.run(['export', 'mine', '--force'])).toMatchObject({ code: 0 })
    expect((await place.run(['verify', 'mine'])).stdout).toMatch(/^mine: intact/)
  })

  test('an import that fails leaves no log behind', async () => {
    await lived('data')
    const [checkpoint] = await place.list('data/checkpoints', '.checkpoint')
    const whole = `data/checkpoints/${checkpoint}`
    const bytes = await readFile(place.path(whole))
    await writeFile(place.path('torn'), bytes.subarray(0, bytes.length - 9))
    for (const file of ['torn', 'missing', 'anchorage.db']) {
      const { code, stderr } = await place.run(['import', file, '--log', 'new.db', '--data', 'new'])
      expect(code).toBe(1)
      expect(stderr).toMatch(/^anchorage: [^\n]+\n$/)
      expect(stderr).toContain(file)
    }
    expect(existsSync(place.path('new.db'))).toBe(false)
  })
})

test('a log with a damaged page is told by whoever reads it, and by the status', async () => {
  const rows = Array.from({ length: 20_000 }, (_, n) => `{"key": "${n}", "value": "${n}"}\n`)
  await place.run(['load', '-', '--create'], { input: rows.join('') })
  const whole = await readFile(place.path('anchorage.db'))
  const middle = Math.floor(whole.length / 2 / PAGE_BYTES)
  const damaged = Buffer.from(whole).fill(0xff, middle * PAGE_BYTES, (middle + 1) * PAGE_BYTES)
  await writeFile(place.path('anchorage.db'), damaged)
  const status = await place.run(['status'])
  expect(status).toMatchObject({ code: 1, stderr: expect.stringContaining('the file is damaged') })
  const { code, stdout, stderr } = await place.run(['get', '0'])
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  expect(stderr).toMatch(/anchorage: \S+anchorage\.db: the file is damaged: [^\n]+\n$/)
})

describe('nobody is there', () => {
  test.each([['verify'], ['export', 'file']])('%s says so at once', async (...args) => {
    await place.run(['set', 'a', '1', '--create'])
    const beganMs = performance.now()
    const { code, stdout, stderr } = await place.run(args)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^anchorage: no replica of the group "default" is running: [^\n]+\n$/)
    // A request that is not answered times out after 15 s.
    expect(performance.now() - beganMs).toBeLessThan(10_000)
  })

  test('readers alone have no leader, which is said each second, and in the end', async () => {
    await place.run(['set', 'a', '1', '--create'])
    const node = place.start([...NODE, '--reader'])
    await node.until(inSync)
    const { code, stderr } = await place.run(['export', 'file'])
    expect(code).toBe(1)
    const lines = stderr.trimEnd().split('\n')
    expect(lines.at(-1)).toMatch(/^anchorage: no replica leads: …\w+ \(in-sync\) runs, .* without --reader$/)
    expect(lines.length).toBeGreaterThan(2)
    for (const line of lines.slice(0, -1))
      expect(line).toMatch(/^waiting for a snapshot .*knows nobody who does/)
  })

  test('another network key is the cause that is told', async () => {
    for (const key of ['one', 'two']) await place.run(['network-key', key])
    await place.run(['set', 'a', '1', '--create'])
    const node = place.start([...NODE, '--network-key', 'one'])
    await node.until(leads)
    for (const args of [['verify'], ['export', 'file'], ['verify', '--network-key', 'two']]) {
      const { code, stderr } = await place.run(args)
      expect(code).toBe(1)
      expect(stderr).toContain('network key')
    }
  })
})
