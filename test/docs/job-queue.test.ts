import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ExampleProcess } from './example-process.ts'

const TIMEOUT_MS = 120_000

test('a worker that was away finds that another one has done its job, which counts once', {
  timeout: TIMEOUT_MS,
}, async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'job-queue-'))
  const worker = (name: string) => new ExampleProcess('job-queue/worker.ts', [name, '2000'], cwd)
  const add = async (...names: string[]) => {
    await using adder = new ExampleProcess('job-queue/add.ts', names, cwd)
    await adder.ended()
    return adder.lines
  }
  try {
    await using first = worker('first')
    await first.prints('first is ready')
    expect(await add('paint')).toEqual(['added 1 jobs'])
    await first.prints('first takes paint')
    first.pause()
    await using second = worker('second')
    await second.prints('second has done paint')
    first.resume()
    // Its answer is there once it has taken the next job.
    expect(await add('paint', 'sweep')).toEqual(['added 1 jobs'])
    await Promise.race([first.prints('first has done sweep'), second.prints('second has done sweep')])
    await expect.poll(() => first.lines).toContain('first was too slow: somebody has paint')
    expect(first.lines).not.toContain('first has done paint')
  } finally {
    await rm(cwd, { recursive: true, force: true, maxRetries: 5 })
  }
})
