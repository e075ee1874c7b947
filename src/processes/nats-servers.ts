import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileStorage } from '../checkpoint/file-storage.ts'
import { CLUSTER_VERSION_MIN, isOlder } from '../log/jetstream/server-version.ts'
import { atExit } from './at-exit.ts'
import { NatsServerMissing, NatsServersFailed } from './errors.ts'
import { freePorts, startOnFreePorts } from './free-ports.ts'
import { folderWith, isExecutable } from './installed.ts'
import { askMonitor, isWhole, type Monitored } from './nats-meta-group.ts'
import { ServerProcess } from './server-process.ts'

/** Options of `startNatsServers`. */
export interface NatsServersInit {
  /** How many; three and five make a cluster, which replicates streams. Default 1. */
  readonly servers?: number
  /** Where they keep their streams. Default: a folder in the temporary one, removed by `stop()`. */
  readonly dir?: string
  /** Where they listen. Default `127.0.0.1`. */
  readonly host?: string
  /** The first server's port, the others have those after it. Default: any that are free. */
  readonly port?: number
  /**
   * More of the server's configuration, such as `authorization` or `tls`; see the manual of `nats-server`.
   */
  readonly config?: string
}

/** How long JetStream may take to answer, in milliseconds: a cluster elects its leader first. */
const WAIT_MS = 60_000
/**
 * How long a server's streams may take to be up to date, in milliseconds. After that it counts as ready
 * without them.
 */
const STREAMS_WAIT_MS = 15_000
const POLL_INTERVAL_MS = 50
const CLUSTER = 'anchorage'
/** Where `go install` and Debian's package put it: folders that are not in everybody's PATH. */
const FOLDERS = [join(homedir(), 'go/bin'), '/usr/sbin', '/usr/local/sbin', '/usr/local/bin']
/**
 * How long a program may take to tell its version, in milliseconds. It answers at once; another program might
 * not.
 */
const VERSION_WAIT_MS = 10_000

/**
 * Where `nats-server` is, or undefined. Looks at the variable `NATS_SERVER`, in the PATH, and then where `go
 * install` and packages put it.
 */
export function findNatsServer(): string | undefined {
  const { NATS_SERVER } = process.env
  if (NATS_SERVER !== undefined) return isExecutable(NATS_SERVER) ? NATS_SERVER : undefined
  const folder = folderWith(['nats-server'], FOLDERS)
  return folder && join(folder, 'nats-server')
}

/** The version of a `nats-server`, such as `2.12.15`. Undefined if it does not tell one. */
export function natsServerVersion(program: string): string | undefined {
  try {
    const said = execFileSync(program, ['--version'], { encoding: 'utf8', timeout: VERSION_WAIT_MS })
    return /v(\d+\.\d+\.\d+\S*)/.exec(said)?.[1]
  } catch {
    return undefined
  }
}

/** Whether several servers of this version keep every write that they have acknowledged. */
export function isFitForClusters(version: string | undefined): boolean {
  return version !== undefined && !isOlder(version, CLUSTER_VERSION_MIN)
}

/**
 * A warning for those who start a cluster of the servers that are installed here, or undefined if they are
 * fit.
 */
export function clusterWarning(): string | undefined {
  const program = findNatsServer()
  const version = program && natsServerVersion(program)
  if (program === undefined || isFitForClusters(version)) return undefined
  return `${program} is ${version ?? 'of an unknown version'}: clusters before ${CLUSTER_VERSION_MIN} may lose what they acknowledged when a server stalls; to try things out it will do (NATS_SERVER names another)`
}

/**
 * Start NATS servers with JetStream on free ports of this machine. Resolves when JetStream answers on each of
 * them. Rejects with `NatsServerMissing` if the program `nats-server` is not installed.
 */
export async function startNatsServers(init: NatsServersInit = {}): Promise<NatsServers> {
  const program = findNatsServer()
  if (program === undefined) throw new NatsServerMissing()
  return await startOnFreePorts(async () => {
    const dir = init.dir ?? (await mkdtemp(join(tmpdir(), 'anchorage-nats-')))
    return new NatsServers(dir, init.dir === undefined, await layOut(program, dir, init))
  }, init.port !== undefined)
}

/** Servers that make one JetStream. Use `startNatsServers`, with `await using`: nothing outlives it. */
export class NatsServers implements AsyncDisposable {
  /** The folder that holds a folder for each server. */
  readonly dir: string
  /** The servers, those that do not run included. */
  readonly servers: readonly NatsServer[]
  readonly #temporary: boolean
  readonly #removalCalledOff: () => void

  /** Use `startNatsServers`. */
  constructor(dir: string, temporary: boolean, servers: readonly NatsServer[]) {
    this.dir = dir
    this.servers = servers
    this.#temporary = temporary
    this.#removalCalledOff = atExit(() => {
      for (const server of servers) server.killNow()
      if (temporary) rmSync(dir, { recursive: true, force: true })
    })
  }

  /** For `jetstreamLog({ servers })`. */
  get urls(): string[] {
    return this.servers.map(({ url }) => url)
  }

  /** Start those that do not run. Resolves when JetStream answers on every one, and takes streams on all. */
  async start(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.start()))
    await Promise.all(this.servers.map((server) => server.ready()))
    if (this.servers.length > 1) await this.#whole()
  }

  /** End all of them with SIGKILL, or as told. Resolves when they have ended; what they stored stays. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill(signal)))
  }

  /** End every server, and remove the folder if it was a temporary one. */
  async stop(): Promise<void> {
    await this.kill()
    if (this.#temporary) await rm(this.dir, { recursive: true, force: true })
    this.#removalCalledOff()
  }

  /** The same as `stop()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /** Resolves when the servers' leader knows that all are there. */
  async #whole(): Promise<void> {
    const began = performance.now()
    while (performance.now() < began + WAIT_MS) {
      const ended = this.servers.find(({ running }) => !running)
      if (ended !== undefined) throw await ended.failure('it ended')
      if (await isWhole(this.servers, performance.now() < began + STREAMS_WAIT_MS)) return
      await delay(POLL_INTERVAL_MS)
    }
    throw await this.servers[0]!.failure(`the servers did not find each other within ${WAIT_MS} ms`)
  }
}

interface ServerInit {
  readonly program: string
  readonly name: string
  readonly dir: string
  readonly url: string
  readonly monitorUrl: string
}

/** One `nats-server`. It keeps its ports and its streams when it is started again. */
export class NatsServer implements Monitored {
  /** `nats-1`, and so on. */
  readonly name: string
  /** Where clients connect, for `jetstreamLog({ servers })`. */
  readonly url: string
  /** Where it tells of itself by HTTP. */
  readonly monitorUrl: string
  /** Its streams are here. */
  readonly storeDir: string
  readonly #init: ServerInit
  readonly #process: ServerProcess

  /** Use `startNatsServers`. */
  constructor(init: ServerInit) {
    this.name = init.name
    this.url = init.url
    this.monitorUrl = init.monitorUrl
    this.storeDir = storeDir(init.dir)
    this.#init = init
    this.#process = new ServerProcess({ program: init.program, args: ['-c', configFile(init.dir)] })
  }

  /** Whether its process runs, paused or not. */
  get running(): boolean {
    return this.#process.running
  }

  /** Start it, if it does not run. `ready()` tells when JetStream answers. */
  async start(): Promise<void> {
    await this.#process.start()
  }

  /**
   * Resolves when JetStream answers, in a cluster with a leader, and its streams are up to date. The streams
   * are not awaited for ever: a server of 2.9 may call one that nobody writes to out of date for good.
   * Rejects with `NatsServersFailed` if the server ends.
   */
  async ready(): Promise<void> {
    const began = performance.now()
    while (performance.now() < began + WAIT_MS) {
      if (!this.running) throw await this.failure('it ended')
      const scope = performance.now() < began + STREAMS_WAIT_MS ? '' : '?js-server-only=true'
      try {
        const { status } = await askMonitor(this, `/healthz${scope}`)
        if (status === 200) return
      } catch {
        // It does not listen yet, or is too busy.
      }
      await delay(POLL_INTERVAL_MS)
    }
    throw await this.failure(`JetStream did not answer within ${WAIT_MS} ms`)
  }

  /** End it with SIGKILL, or as told. Resolves when it has ended; what it stored stays. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#process.kill(signal)
  }

  /** Stop the server where it is (SIGSTOP), as on a machine that is too busy. */
  pause(): void {
    this.#process.pause()
  }

  /** Let a paused server go on (SIGCONT). For one that is not paused, nothing happens. */
  resume(): void {
    this.#process.resume()
  }

  /** @internal For a process that exits. */
  killNow(): void {
    this.#process.killNow()
  }

  /** @internal What went wrong, with the end of its log. */
  async failure(why: string): Promise<NatsServersFailed> {
    const log = await readFile(logFile(this.#init.dir), 'utf8').catch(() => '')
    return new NatsServersFailed(this.name, why, log.trim().split('\n').slice(-10))
  }
}

/** Write each server's configuration, on ports that are free now. */
async function layOut(program: string, dir: string, init: NatsServersInit): Promise<NatsServer[]> {
  const { servers: count = 1, host = '127.0.0.1', port, config = '' } = init
  const ports = await freePorts(host, count * 3)
  const routes = ports.slice(count, 2 * count).map((port) => `nats-route://${host}:${port}`)
  return await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const name = `nats-${n + 1}`
      const own = join(dir, name)
      await fileStorage.makeDirectory(own, 0o777)
      const client = port === undefined ? ports[n] : port + n
      const [route, monitor] = [ports[count + n], ports[2 * count + n]]
      const lines = [
        `server_name: ${name}`,
        `listen: "${host}:${client}"`,
        `http: "${host}:${monitor}"`,
        `log_file: ${JSON.stringify(logFile(own))}`,
        `jetstream { store_dir: ${JSON.stringify(storeDir(own))} }`,
        ...(count > 1
          ? [`cluster { name: ${CLUSTER}, listen: "${host}:${route}", routes: ${JSON.stringify(routes)} }`]
          : []),
        config,
      ]
      writeFileSync(configFile(own), `${lines.join('\n')}\n`)
      const url = `nats://${host}:${client}`
      return new NatsServer({ program, name, dir: own, url, monitorUrl: `http://${host}:${monitor}` })
    }),
  )
}

function configFile(dir: string): string {
  return join(dir, 'nats.conf')
}

function logFile(dir: string): string {
  return join(dir, 'nats.log')
}

function storeDir(dir: string): string {
  return join(dir, 'jetstream')
}
