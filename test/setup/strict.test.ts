import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const VITEST = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url))
const CONFIG = fileURLToPath(new URL('fixture/vitest.config.ts', import.meta.url))

/** What Vitest says of a file in fixture/. */
function run(file: string): { status: number | null; output: string } {
  const env = { ...process.env, NO_COLOR: '1', NODE_OPTIONS: '' }
  const args = [VITEST, 'run', '--config', CONFIG, file]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' })
  return { status, output: stdout + stderr }
}

test('what a file of tests leaves open, and what it or its processes warn of, fails it', () => {
  const { status, output } = run('faults.ts')
  expect(output).toContain('Tests  7 passed (7)')
  for (const fault of [
    /it was left open: TCPSERVERWRAP\n.*faults\.ts:11/,
    /it was left open: Timeout\n.*faults\.ts:15/,
    /it was left open: the file .*faults\.ts/,
    /it was left open: WORKER\n.*faults\.ts:24/,
    /Warning: from a thread/,
    /MaxListenersExceededWarning: .* 11 abort listeners/,
    /MaxListenersExceededWarning: .* 11 SIGUSR2 listeners/,
    /Warning: from a process/,
    /process \d+ \(.*\) was ended by Error: nobody waits\n/,
  ])
    expect(output).toMatch(fault)
  expect(status).toBe(1)
})

test('a rejection that nobody handles fails the file that caused it', () => {
  const { status, output } = run('rejection.ts')
  expect(output).toContain('Tests  1 passed (1)')
  expect(output).toMatch(/Unhandled Rejection(.|\n)*nobody waits in the file of tests(.|\n)*rejection\.ts/)
  expect(status).toBe(1)
})
