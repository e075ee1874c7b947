#!/usr/bin/env node
/** `npm create anchorage`. It is packed as one file, with nothing but the template beside it, and runs on Node 20. */
import { readFileSync } from 'node:fs'
import { writeProject } from '../init/project.ts'

const USAGE = `usage: npm create anchorage [dir]

Writes a small project: a map that two terminals share, with a test, on a Node.js of its own.
The directory must be empty, or not there yet. Without a name it is this one.`

const EXIT = { ok: 0, failed: 1, usage: 2 } as const

class Refusal extends Error {}

/** @returns the exit code */
async function main(args: readonly string[]): Promise<number> {
  const { version } = JSON.parse(readFileSync(new URL('./package.json', import.meta.url), 'utf8'))
  if (args.includes('--help') || args.includes('-h')) return say(USAGE)
  if (args.includes('--version') || args.includes('-V')) return say(version)
  const [dir = '.', ...more] = args
  if (more.length > 0 || dir.startsWith('-')) return complain(USAGE, EXIT.usage)
  try {
    const { text, note } = await writeProject(dir, {
      version,
      example: 'npm create anchorage my-app',
      refusal: (message, options) => new Refusal(message, options),
    })
    if (note !== undefined) console.error(note)
    return say(text)
  } catch (error) {
    if (error instanceof Refusal) return complain(`create-anchorage: ${error.message}`, EXIT.usage)
    return complain(`create-anchorage: ${(error as Error).message}`, EXIT.failed)
  }
}

function say(text: string): number {
  console.log(text)
  return EXIT.ok
}

function complain(text: string, code: number): number {
  console.error(text)
  return code
}

process.exitCode = await main(process.argv.slice(2))
