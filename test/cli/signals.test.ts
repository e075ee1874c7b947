import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MAIN, Place, type Printed } from './anchorage.ts'

const STUBBORN = fileURLToPath(new URL('stubborn-process.ts', import.meta.url))

let place: Place
beforeEach(async () => {
  place = await Place.make()
})
afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

const leads = ({ event }: Printed) => event === 'leader'

describe('signals', () => {
  // One request to stop, as timeout, npm and a closing terminal send it.
  test.each([
    [['SIGTERM', 'SIGTERM']],
    [['SIGINT', 'SIGTERM', 'SIGTERM']],
    [['SIGHUP']],
    [['SIGTERM', 'SIGHUP']],
  ] as const)('%j stops a replica as one signal does', async (signals) => {
    const node = place.start(['node', '--data', 'data', '--lease-ms', '1000'])
    await node.until(leads)
    expect((await place.run(['set', 'a', '1'])).code).toBe(0)
    await node.until(({ event }) => event === 'state')
    for (const signal of signals.slice(0, -1)) {
      node.child.kill(signal)
      await delay(5)
    }
    expect(await node.interrupt(signals.at(-1))).toBe(0)
    const checkpoints = await place.list('data/checkpoints', '.checkpoint')
    expect(checkpoints).toHaveLength(1)
    const { leader } = JSON.parse((await place.run(['status', '--json'])).stdout)
    expect(leader).toBe(null)
  })

  test('they do not kill a command that has ended well, until its process is gone', async () => {
    await place.run(['set', 'a', '1', '--create'])
    const child = place.spawn(['status', '--watch'])
    await once(child.stdout!.resume(), 'data')
    const again = setInterval(() => child.kill('SIGTERM'), 1)
    try {
      expect(await once(child, 'close')).toEqual([143, null])
    } finally {
      clearInterval(again)
    }
  })

  test('one that comes after a person has waited ends the process at once', async () => {
    const child = spawn(process.execPath, [STUBBORN], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    await once(child.stdout, 'data')
    child.kill('SIGTERM')
    await delay(1_100)
    expect([child.exitCode, child.signalCode]).toEqual([null, null])
    child.kill('SIGTERM')
    expect(await once(child, 'close')).toEqual([143, null])
  })
})

describe('output that cannot be written', () => {
  test('a replica whose reader leaves stops, and does not say that all is well', async () => {
    await place.run(['set', 'a', '1', '--create'])
    const node = place.spawn(['node', '--data', 'data', '--lease-ms', '1000', '--json'])
    const said = text(node.stderr!)
    let seen = ''
    for await (const chunk of node.stdout!) {
      seen += chunk
      if (seen.includes('"in-sync"')) break
    }
    expect(await once(node, 'close')).toEqual([141, null])
    expect(await said).toBe('{"note":"stopped, since nobody takes the output any more"}\n')
  })

  test.each([[['--help']], [['node', '--help']], [['--version']], [['status', '--json']]])(
    '%j whose reader left ends without a word',
    async (args) => {
      await place.run(['set', 'a', '1', '--create'])
      const child = place.spawn(args)
      child.stdout!.destroy()
      expect(await text(child.stderr!)).toBe('')
    },
  )

  test.skipIf(!existsSync('/dev/full'))('a full disk is told', async () => {
    await place.run(['set', 'a', '1', '--create'])
    const full = openSync('/dev/full', 'w')
    for (const args of [['get', 'a'], ['status'], ['--help'], ['node', '--json']]) {
      const child: ChildProcess = spawn(process.execPath, [MAIN, ...args], {
        cwd: place.dir,
        stdio: ['ignore', full, 'pipe'],
      })
      const [[code], stderr] = await Promise.all([once(child, 'close'), text(child.stderr!)])
      expect({ args, code }).toEqual({ args, code: 1 })
      expect(stderr).toMatch(/^[^\n]+standard output cannot be written: ENOSPC[^\n]+\n$/)
    }
  })
})
