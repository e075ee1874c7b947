/** What README.md has you try in terminals, with real processes in a folder of their own. */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { promisify } from 'node:util'

const PROGRAM = join(import.meta.dirname, 'cities.ts')

/** A terminal in which `npm start` runs. It ends with the test. */
class Terminal implements AsyncDisposable {
  readonly #child
  readonly #closed
  readonly #lines

  constructor(name: string, cwd: string, signal: AbortSignal) {
    this.#child = spawn(process.execPath, [PROGRAM, name], {
      cwd,
      signal,
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#closed = once(this.#child, 'close')
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  type(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  /** Resolves with the next line that matches. */
  async shows(text: RegExp): Promise<string> {
    for (;;) {
      const { value, done } = await this.#lines.next()
      assert(!done, `it ended, and has not shown ${text}`)
      if (text.test(value)) return value
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin.end()
    await this.#closed
  }
}

test('two share the map, and a third gets it from them once the log is pruned', {
  timeout: 120_000,
}, async (t) => {
  const cwd = await mkdtemp(join(tmpdir(), 'cities-'))
  t.after(() => rm(cwd, { recursive: true, force: true }))
  const start = (name: string) => new Terminal(name, cwd, t.signal)
  // Of node_modules/.bin, where npm looks first.
  const anchorage = (...args: string[]) => promisify(execFile)('anchorage', args, { cwd, signal: t.signal })

  await using a = start('a')
  await a.shows(/in sync/)
  a.type('Bern 134794')
  await using b = start('b')
  await b.shows(/^Bern: 134794$/)
  await b.shows(/in sync/)
  b.type('New York 8804190')
  await a.shows(/^New York: 8804190$/)

  await anchorage('checkpoint')
  const { stdout } = await anchorage('prune', '--keep', '0')
  assert.match(stdout, /^pruned the log up to entry \d+$/m)

  await using c = start('c')
  await c.shows(/^caught up from a peer/)
  await c.shows(/^Bern: 134794$/)
  await c.shows(/^New York: 8804190$/)
})
