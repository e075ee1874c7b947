import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MOUNT_NAMESPACE } from '../../scripts/chaos/small-disk.ts'
import { canMount } from '../mounted-disk.ts'
import { MAIN, Place } from './anchorage.ts'

/** Causes that keep a replica from even starting, or that need a process of their own: the others are in test/diagnose. */

const HOUR_MS = 3_600_000

let place: Place
beforeEach(async () => {
  place = await Place.make()
  await place.run(['set', 'a', '1', '--create'])
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

interface Found {
  readonly level: string
  readonly code: string
  readonly message: string
  readonly remedy: string
}

function failures(stdout: string): Found[] {
  const { checks } = JSON.parse(stdout) as { readonly checks: readonly Found[] }
  return checks.filter(({ level }) => level === 'fail')
}

test.skipIf(!canMount)('a full disk: the node does not start, and the doctor says why', async () => {
  await mkdir(place.path('disk'))
  const script = `mount -t tmpfs -o size=64k none "$1"; dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null || true
    shift; "$@" node --data disk/data && exit 99; "$@" doctor --data disk/data --json && exit 98; exit $?`
  const [unshare, ...namespace] = MOUNT_NAMESPACE
  const program = [script, 'sh', place.path('disk'), process.execPath, MAIN]
  const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>(
    (resolve) => {
      const args = [...namespace.with(-1, '-c'), ...program]
      execFile(unshare!, args, { cwd: place.dir }, (error, stdout, stderr) =>
        resolve({ code: error?.code, stdout, stderr }),
      )
    },
  )
  expect(stderr).toMatch(/anchorage: the data directory .* cannot be used: .*(ENOSPC|disk is full)/)
  expect(code).toBe(4)
  const full = failures(stdout).find((each) => each.code === 'disk-full')
  expect(full).toMatchObject({ remedy: expect.stringContaining('make room') })
  expect(full!.message).toContain('the disk is full')
})

test('a clock that is off, against the newest entry', async () => {
  const hook = place.path('clock.mjs')
  await writeFile(hook, `const real = Date.now; Date.now = () => real() - ${HOUR_MS}`)
  const { code, stdout } = await place.run(['doctor', '--json'], { execArgv: ['--import', hook] })
  expect(code).toBe(4)
  expect(failures(stdout)).toMatchObject([{ code: 'clock-of-log', remedy: expect.stringContaining('NTP') }])
  expect(failures(stdout)[0]!.message).toContain('60 minutes in the future')
})

test('another machine: the node is refused, and the doctor of the same settings says why', async () => {
  await writeFile(
    place.path('machine.mjs'),
    "export default { signature: 'inventory/1', apply() {}, capture() {}, install() {} }\n",
  )
  const env = { ANCHORAGE_NODE_MACHINE: './machine.mjs', ANCHORAGE_NODE_DATA: 'data' }
  const node = await place.run(['node'], { env })
  expect([node.code, node.stderr]).toEqual([2, expect.stringContaining('"inventory/1"')])
  const { code, stdout } = await place.run(['doctor', '--json'], { env })
  expect(code).toBe(4)
  expect(failures(stdout)).toMatchObject([{ code: 'other-signature' }])
  expect(failures(stdout)[0]!.message).toMatch(/the group speaks "map.*inventory\/1/)
  // A flag goes before a setting.
  const map = await place.run(['doctor', '--json', '--data', 'elsewhere', '--machine', './missing.mjs'], {
    env,
  })
  expect(failures(map.stdout)).toMatchObject([{ message: expect.stringContaining('missing.mjs') }])
})

test('a second process on one data directory, and the group in words', async () => {
  const node = place.start(['node', '--data', 'data'])
  await node.until(({ event }) => event === 'leader')
  const second = await place.run(['node', '--data', 'data'])
  expect([second.code, second.stderr]).toEqual([1, expect.stringContaining('in use by another replica')])
  const { code, stdout } = await place.run(['doctor', '--data', 'data'])
  expect([code, stdout]).toEqual([
    0,
    expect.stringMatching(/^warn {2}data lock .*refused it \(DirectoryInUse\)$/m),
  ])
  const why = await place.run(['why'])
  expect(why).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^1 replica in sync; one that is missing/),
  })
  expect(await node.interrupt()).toBe(0)
  const gone = await place.run(['why', 'nobody'])
  expect([gone.code, gone.stdout]).toEqual([
    4,
    expect.stringMatching(/what to do {2}look whether its process runs/),
  ])
})
