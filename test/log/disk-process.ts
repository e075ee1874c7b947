/**
 * A process that uses a log on a disk that is full or cannot be written: `disk-process.ts WHAT DISK`. It
 * sends the outcome of each call.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sqliteLog } from '../../src/log/sqlite.ts'
import { ReplicatedMap } from '../../src/machines/map/replicated-map.ts'
import { createReplica } from '../../src/replica/start.ts'
import { commands, Follower, init, readAll, text } from './entries.ts'

const { signature } = new ReplicatedMap()
const [, , what, folder = ''] = process.argv
const path = join(folder, 'group.log')
const filler = join(folder, 'filler')
const seen: Record<string, unknown> = {}

/** `done`, or the error's name and message. */
async function attempt(name: string, work: () => Promise<unknown>): Promise<void> {
  seen[name] = await work().then(
    () => 'done',
    (error: Error) => `${error.name}: ${error.message}`,
  )
}

const open = (at = path) => sqliteLog({ path: at, pollMs: 20 }).open(init({ signature }))

async function openAndClose(at?: string): Promise<void> {
  const log = await open(at)
  await log.close()
}

/** Fills the disk completely. */
function fill(): void {
  const file = openSync(filler, 'a')
  for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) {
    try {
      for (;;) writeSync(file, new Uint8Array(bytes))
    } catch {
      // There is no room for as many bytes: try fewer.
    }
  }
  closeSync(file)
}

async function full(): Promise<void> {
  const log = await open()
  await log.append(commands('1', '2'))
  fill()
  await attempt('append', () => log.append([{ kind: 'command', payload: new Uint8Array(300_000) }]))
  await attempt('announce', async () => {
    // Writes that fit into the existing -wal succeed.
    for (let n = 0; n < 1000; n++) await log.notices.announce('bob', new Uint8Array(1000), 60_000)
  })
  await attempt('prune', () => log.prune(1))
  // A prune writes one page, which may fit into the existing -wal.
  await attempt('read', () => readAll(log, { index: 1 }))
  await attempt('make another', () => openAndClose(join(folder, 'another.log')))
  rmSync(filler)
  await attempt('append with room', () => log.append(commands('3')))
  seen.entries = (await readAll(log, { index: 1 })).map(text)
  await log.close()
  fill()
  await attempt('open to read', openAndClose)
  await attempt('open to write', async () => {
    const again = await open()
    await again.append(commands('4')).finally(() => again.close())
  })
  rmSync(filler)
}

/**
 * The process that may write. It makes the log, and closes it or not. When it is told to, it writes once
 * more, or it is killed.
 */
async function write(how: string): Promise<void> {
  let log = await open()
  await log.append(commands('1', '2'))
  await log.notices.announce('alice', new Uint8Array(1), 60_000)
  if (how === 'closed') await log.close()
  process.send!('written')
  await once(process, 'message')
  if (how === 'crashed') process.kill(process.pid, 'SIGKILL')
  if (how === 'closed') log = await open()
  await log.append(commands('3'))
  await log.noteUpgrade('another', 3)
  await log.close()
}

/** The disk is mounted twice. In this process it cannot be written. */
async function readOnly(how: string): Promise<void> {
  const writer = fork(fileURLToPath(import.meta.url), [`write-${how}`, join(folder, '../writable')])
  const exited = once(writer, 'exit')
  await once(writer, 'message')
  const goOn = () => writer.send('go on')
  if (how === 'crashed') {
    goOn()
    await exited
  }
  await attempt('make', () => openAndClose(join(folder, 'another.log')))
  const machine = new ReplicatedMap()
  await attempt('replica', () => createReplica({ group: 'a group', machine, log: sqliteLog({ path }) }))
  const log = await open()
  seen.entries = (await readAll(log)).map(text)
  seen.newest = (await log.bounds()).newest.index
  seen.members = (await log.notices.read()).map(({ member }) => member)
  await attempt('append', () => log.append(commands('x')))
  await attempt('announce', () => log.notices.announce('eve', new Uint8Array(1), 1000))
  await attempt('prune', () => log.prune(1))
  await attempt('note an upgrade', () => log.noteUpgrade('another', 2))
  if (how !== 'crashed') {
    const follower = new Follower(log, { index: 2 })
    const next = follower.next()
    goOn()
    seen.followed = text((await next)!)
    await exited
    seen.after = (await readAll(log)).map(text)
    await attempt('open after an upgrade', openAndClose)
  }
  await log.close()
}

const [task, how = ''] = what!.split(/-(?=\w+$)/)
if (task === 'full') await full()
else if (task === 'write') await write(how)
else await readOnly(how)
if (task !== 'write') process.send!(seen)
process.disconnect()
