import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { startNatsServers } from '../../src/processes/nats-servers.ts'
import type { Command } from './party.ts'
import { nodeProgram } from './party.ts'
import { childrenNamed } from './proc.ts'
import type { Contender, Ready, Stage } from './stage.ts'

/** Those who have the state, where it can be fetched from several. */
const PROVIDERS = 3
/** Entries in one block of a Hypercore. */
const BLOCK_ENTRIES = 100

export const contenders: readonly Contender[] = [
  { id: 'stream', name: 'replay of a NATS stream', needs: 'nats-server', prepare: stream },
  {
    id: 'anchorage-nats',
    name: 'Anchorage, its log on NATS',
    needs: 'nats-server',
    async prepare(stage) {
      const { url, pids } = await server(stage, 'anchorage')
      const ready = await replicas(stage, url, 'anchorage-nats')
      return { ...ready, providers: [...ready.providers, ...pids] }
    },
  },
  { id: 'file', name: 'replay of a SQLite file', prepare: file },
  {
    id: 'anchorage-sqlite',
    name: 'Anchorage, its log in SQLite',
    prepare: (stage) => replicas(stage, logFile(stage), 'anchorage-sqlite'),
  },
  { id: 'mosaik', name: 'mosaik, a `Map`', needs: 'mosaik', prepare: mosaik },
  {
    id: 'hypercore-log',
    name: 'Hypercore, the log',
    needs: 'hypercore',
    prepare: (stage) => hypercore(stage, 'log'),
  },
  {
    id: 'hypercore-state',
    name: 'Hypercore, a core of the state',
    needs: 'hypercore',
    prepare: (stage) => hypercore(stage, 'state'),
  },
  { id: 'yjs', name: 'Yjs, a `Y.Map`', needs: 'yjs', prepare: yjs },
]

async function stream(stage: Stage): Promise<Ready> {
  const { url, pids } = await server(stage, 'stream')
  await stage.run(nodeProgram('stream', 'write', url, stage.rows, stage.rounds))
  return { providers: pids, newcomer: () => nodeProgram('stream', 'read', url, stage.key) }
}

/** A server of its own, so that its processor time is of this contender alone. */
async function server(stage: Stage, name: string): Promise<{ url: string; pids: number[] }> {
  const before = new Set(childrenNamed('nats-server'))
  const servers = stage.use(await startNatsServers({ dir: await stage.folder(`nats-${name}`) }))
  const pids = childrenNamed('nats-server').filter((pid) => !before.has(pid))
  if (pids.length !== 1)
    throw new Error('the process of nats-server is not found: is the program named otherwise?')
  return { url: servers.urls[0]!, pids }
}

async function file(stage: Stage): Promise<Ready> {
  const path = logFile(stage)
  await load(stage, path)
  return { providers: [], newcomer: () => nodeProgram('file', path, stage.key) }
}

/** Write the history into a log of ours. A file may hold it already, for the replay and the replicas share it. */
async function load(stage: Stage, log: string): Promise<void> {
  if (!existsSync(log)) await stage.run(nodeProgram('load', log, stage.rows, stage.rounds))
}

function logFile({ dir }: Stage): string {
  return join(dir, 'log.db')
}

/** The first replica replays the log, and the others catch up from it. The log is not pruned. */
async function replicas(stage: Stage, log: string, id: string): Promise<Ready> {
  await load(stage, log)
  const replica = async (name: string) =>
    nodeProgram('anchorage', log, await stage.folder(`${id}-${name}`), stage.key)
  const providers: number[] = []
  for (let n = 1; n <= PROVIDERS; n++) {
    const { party } = await stage.start(await replica(`provider-${n}`))
    providers.push(party.pid)
  }
  return { providers, newcomer: (run) => replica(`newcomer-${run}`) }
}

async function mosaik(stage: Stage): Promise<Ready> {
  const program = join(stage.cache, 'mosaik', 'target', 'release', 'figures-mosaik')
  const relay = await stage.start({ program, args: ['relay'] })
  const at = relay.line.address as string
  const peers = [await stage.start({ program, args: ['write', at, stage.rows, String(stage.rounds)] })]
  const follow = (): Command => {
    const addresses = peers.map(({ line }) => line.address as string)
    return { program, args: ['follow', at, String(stage.items), stage.key, ...addresses] }
  }
  while (peers.length < PROVIDERS) peers.push(await stage.start(follow()))
  return { providers: peers.map(({ party }) => party.pid), newcomer: follow }
}

async function hypercore(stage: Stage, what: 'log' | 'state'): Promise<Ready> {
  const program = (...args: (string | number)[]) =>
    nodeProgram('hypercore', join(stage.cache, 'npm'), ...args)
  const dir = (name: string) => stage.folder(`hypercore-${what}-${name}`)
  const author = await stage.start(
    program(what, await dir('author'), BLOCK_ENTRIES, stage.rows, stage.rounds),
  )
  const { core } = author.line as { core: string }
  const peers = [author]
  const reader = async (name: string) =>
    program('read', await dir(name), core, stage.key, ...peers.map(({ line }) => line.port as number))
  while (peers.length < PROVIDERS) peers.push(await stage.start(await reader(`peer-${peers.length}`)))
  return {
    providers: peers.map(({ party }) => party.pid),
    newcomer: (run) => reader(`newcomer-${run}`),
  }
}

async function yjs(stage: Stage): Promise<Ready> {
  const program = (...args: (string | number)[]) => nodeProgram('yjs', join(stage.cache, 'npm'), ...args)
  const { party, line } = await stage.start(program('write', stage.rows, stage.rounds))
  return { providers: [party.pid], newcomer: () => program('read', stage.key, line.port as number) }
}
