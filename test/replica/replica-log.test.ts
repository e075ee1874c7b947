import { expect, test } from 'vitest'
import { PinoSink } from '../../src/cli/logging/pino-sink.ts'
import type { LogFields } from '../../src/logging/line.ts'
import { ReplicaLog } from '../../src/replica/logging/replica-log.ts'
import { systemClock } from '../../src/time/clock.ts'
import { keptLogger } from '../logging/kept-logger.ts'
import { Cluster, leads, next, type Started } from './cluster.ts'
import { line } from './journal.ts'

/** A replica, and the lines of its two logs: one under `DEBUG`, and one of the command line. */
interface Logged extends Started {
  readonly debug: string[]
  readonly json: LogFields[]
}

async function startLogged(cluster: Cluster, init: Parameters<Cluster['start']>[0]): Promise<Logged> {
  const debug: string[] = []
  const json: LogFields[] = []
  const logger = keptLogger(
    (name, _writer, text) => name.startsWith('anchorage') && debug.push(`${name} ${text}`),
  )
  const started = await cluster.start({ logger, ...init })
  const { id: self, group } = started.replica
  const destination = { write: (text: string) => void json.push(JSON.parse(text)) }
  const sink = PinoSink.to({ level: 'info', destination }).with({ group, replica: self })
  const log = new ReplicaLog({ clock: systemClock, sink, self })
  started.replica.observe((event) => log.happened(event))
  return { ...started, debug, json }
}

const idsIn = (lines: readonly LogFields[], event: string) =>
  new Set(lines.flatMap((fields) => (fields.event === event ? [fields.catchUp] : [])))

test('a catch-up has one id in the logs of the joiner, the leader and another provider', async () => {
  await using cluster = new Cluster()
  const leader = await startLogged(cluster, {})
  await leads(leader.replica)
  const provider = await startLogged(cluster, { lead: false })
  for (let n = 0; n < 40; n++) await leader.replica.submit(line(`line ${n}`))
  await provider.replica.barrier()
  await leader.replica.prune({ keepEntries: 0 })
  const joiner = await startLogged(cluster, { lead: false })
  const { catchUp, anchor } = await next(joiner.replica, 'caught-up')
  expect(catchUp).toMatch(/^[0-9a-f]{16}$/)
  // What was counted of it is told by then.
  for (const { replica } of [joiner, provider, leader]) await replica.stop()

  expect(idsIn(joiner.json, 'session')).toEqual(new Set([catchUp]))
  expect(idsIn(joiner.json, 'caught-up')).toEqual(new Set([catchUp]))
  expect(idsIn(leader.json, 'named')).toEqual(new Set([catchUp]))
  expect(idsIn(provider.json, 'served')).toEqual(new Set([catchUp]))
  const served = provider.json.filter(({ event }) => event === 'served').at(-1)!
  expect(served).toMatchObject({
    level: 'info',
    group: 'journals',
    replica: provider.replica.id,
    component: 'sync',
    anchor: anchor.index,
    peer: joiner.replica.id,
    msg: 'sends chunks to a peer',
  })
  const sums = provider.replica.counts.get('served')
  expect(served.chunks).toBe(sums)

  for (const { debug, replica } of [joiner, provider, leader]) {
    const lines = debug.filter((text) => text.includes(`catchUp=${catchUp}`))
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.every((text) => text.endsWith(` group=journals replica=${replica.id}`))).toBe(true)
  }
  const statuses = joiner.debug.flatMap((text) => /status=(\S+)/.exec(text)?.[1] ?? [])
  expect(statuses.filter((status, n) => status !== statuses[n - 1])).toEqual(
    expect.arrayContaining(['requesting', 'choosing', 'fetching', 'installing', 'done']),
  )
  expect(leader.debug.join('\n')).toContain('anchorage:log pruned the log event=pruned upTo=')
  expect(leader.debug.join('\n')).toContain('anchorage:leader leads now event=leader')
})

test('a logger of js-libp2p takes what would be a warning, and libp2p’s own lines', async () => {
  await using cluster = new Cluster({ isMute: false })
  const names = new Set<string>()
  const errors: string[] = []
  const logger = keptLogger((name, writer, text) => {
    names.add(name)
    if (writer === 'error' && name.startsWith('anchorage')) errors.push(text)
  })
  const { replica } = await cluster.start({ logger })
  await leads(replica)
  cluster.log.recreate()
  while (replica.state !== 'halted') await next(replica, 'state')
  expect(errors.join('\n')).toContain(
    'is halted event=state state=halted previous=in-sync err="EpochChanged: ',
  )
  expect([...names].some((name) => name.startsWith('libp2p'))).toBe(true)
})
