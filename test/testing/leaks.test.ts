import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { startCluster } from '../../src/testing/index.ts'
import { allowFault } from '../setup/strict.ts'
import { abandoned, allGone, running } from './processes.ts'

const CLUSTER = new URL('./abandoned-cluster.ts', import.meta.url)
const leaky = new URL('./leaky-process.ts', import.meta.url)

test('stop ends every process by itself, and removes the folder', async () => {
  const cluster = await startCluster({ replicas: 2 })
  const [first, second] = cluster.replicas
  second!.pause()
  await cluster.stop()
  expect([await first!.exited, await second!.exited]).toEqual([
    { code: 0, signal: null },
    { code: 0, signal: null },
  ])
  expect(running([first!.pid, second!.pid])).toEqual([])
  expect(existsSync(cluster.dir)).toBe(false)
})

test('a process that keeps running after stop() is killed, and stop() tells what keeps it', async () => {
  const cluster = await startCluster({ replicas: 1, program: leaky })
  const [replica] = cluster.replicas
  const stopping = replica!.stop({ timeoutMs: 3_000 })
  await expect(stopping).rejects.toMatchObject({
    name: 'ProcessLingered',
    replicaStopped: true,
    message: expect.stringMatching(/still running after stop\(\):.*Timeout/),
  })
  expect(await replica!.exited).toEqual({ code: null, signal: 'SIGKILL' })
  await cluster.stop()
})

test('a process whose parent is killed ends, even when it is paused', async () => {
  const { parent, pids } = await abandoned(CLUSTER, 'wait')
  expect(running(pids)).toEqual(pids)
  parent.kill('SIGKILL')
  await allGone(pids)
})

test('a parent that fails takes its processes with it, and the folder', async () => {
  allowFault(/ the program failed$/m)
  const { parent, pids, dir } = await abandoned(CLUSTER, 'throw')
  const [code] = await once(parent, 'exit')
  expect(code).toBe(1)
  expect(existsSync(dir)).toBe(false)
  await allGone(pids)
})
