import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { freePorts } from '../../src/processes/free-ports.ts'
import { ExampleProcess } from './example-process.ts'

const TIMEOUT_MS = 120_000

test('at the same entry two replicas have the same sessions, with the same time left, to their end', {
  timeout: TIMEOUT_MS,
}, async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'session-store-'))
  const [portA, portB] = await freePorts('127.0.0.1', 2)
  const [urlA, urlB] = [`http://127.0.0.1:${portA}`, `http://127.0.0.1:${portB}`]
  /** What the replicas answered, by the entry at which they stood. */
  const [answersA, answersB] = [new Map<number, string>(), new Map<number, string>()]
  try {
    await using a = new ExampleProcess('session-store/server.ts', ['a', `${portA}`], cwd)
    await using b = new ExampleProcess('session-store/server.ts', ['b', `${portB}`], cwd)
    await Promise.all([a.prints(`a is in sync: ${urlA}/`), b.prints(`b is in sync: ${urlB}/`)])
    await fetch(`${urlA}/login`, { method: 'POST', body: 'ada' })
    await fetch(`${urlB}/login`, { method: 'POST', body: 'bob' })
    const look = async (url: string, seen: Map<number, string>) => {
      const text = await (await fetch(`${url}/sessions`)).text()
      const { entry, sessions } = JSON.parse(text)
      expect(text).toBe(seen.get(entry) ?? text)
      seen.set(entry, text)
      return sessions.length as number
    }
    const both = () => Promise.all([look(urlA, answersA), look(urlB, answersB)])
    await expect.poll(both, { timeout: 30_000 }).toEqual([2, 2])
    await expect.poll(both, { timeout: 60_000, interval: 100 }).toEqual([0, 0])
  } finally {
    await rm(cwd, { recursive: true, force: true, maxRetries: 5 })
  }
  const common = [...answersA].filter(([entry]) => answersB.has(entry))
  for (const [entry, text] of common) expect(answersB.get(entry)).toBe(text)
  // Of the entries at which both were seen, one is before the end of the sessions, and one after it.
  expect(common.some(([, text]) => text.includes('ada'))).toBe(true)
  expect(common.some(([, text]) => text.includes('"sessions":[]'))).toBe(true)
})
