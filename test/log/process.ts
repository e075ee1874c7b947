/**
 * A process that uses the log of the tests: `node process.ts <what> <path> <author>`. It prints what it did
 * line by line. If it must wait for the others, it prints `ready` and waits for a line.
 */
import { once } from 'node:events'
import { DatabaseSync } from 'node:sqlite'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { commands, init, numbers } from './entries.ts'

const [, , what, path = '', author = ''] = process.argv
const open = () => sqliteLog({ path }).open(init({ author }))

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function waitForOthers(): Promise<void> {
  say('ready')
  await once(process.stdin, 'data')
  process.stdin.destroy()
}

switch (what) {
  case 'open': {
    await waitForOthers()
    const log = await open()
    await log.append(commands(author))
    say(log.epoch)
    await log.close()
    break
  }
  case 'append-200': {
    const log = await open()
    await waitForOthers()
    for (const n of numbers(1, 200)) await log.append(commands(n))
    await log.close()
    say('done')
    break
  }
  case 'append-pairs-forever': {
    const log = await open()
    for (let n = 1; ; n++) {
      const { first } = await log.append(commands(`${n}`, `${n}`))
      say(`${n} ${first}`)
    }
  }
  case 'hold-lock': {
    const db = new DatabaseSync(path)
    db.exec('BEGIN IMMEDIATE')
    await waitForOthers()
    break
  }
  default:
    throw new Error(`unknown task: ${what}`)
}
