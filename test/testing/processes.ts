import { type ChildProcess, spawn } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, vi } from 'vitest'
import { isRunning } from '../../src/processes/server-process.ts'

/** Those of `pids` that still run. */
export function running(pids: readonly number[]): number[] {
  return pids.filter(isRunning)
}

/** Nobody tells of the end of a process that is not one's own child: look again and again. */
export async function allGone(pids: readonly number[]): Promise<void> {
  await vi.waitFor(() => expect(running(pids)).toEqual([]), { timeout: 15_000, interval: 50 })
}

/**
 * Start a program that does not stop what it starts, and says what that is. Resolves when it has said so. It is to
 * be killed, or it throws.
 */
export async function abandoned(script: URL, end: 'wait' | 'throw') {
  const parent: ChildProcess = spawn(process.execPath, [fileURLToPath(script), end], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  onTestFinished(() => void parent.kill('SIGKILL'))
  for await (const line of createInterface({ input: parent.stdout! })) {
    const { pids, dir }: { pids: number[]; dir: string } = JSON.parse(line)
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    return { parent, pids, dir }
  }
  throw new Error('the program ended before it had said what it started')
}
