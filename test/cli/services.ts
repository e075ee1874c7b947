import { once } from 'node:events'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { parseEnv } from 'node:util'
import { MAIN, type Place, type Printed, type Running } from './anchorage.ts'

/** What a service that is no replica does when it is started or stopped. */
export interface OtherService {
  start(): Promise<void>
  stop(): Promise<void>
}

/**
 * Replicas as services of a folder, as docs/runbook.md has them: `anchorage@a` runs on `data/a`, with the settings
 * of `anchorage.env`. Programs `systemctl` and `anchorage` are in `bin`, to be in the PATH of a shell.
 */
export class Services implements AsyncDisposable {
  readonly #place: Place
  readonly #env: NodeJS.ProcessEnv
  readonly #running = new Map<string, Running>()
  readonly #others = new Map<string, OtherService>()
  readonly #server: Server

  static async in(place: Place, env: NodeJS.ProcessEnv = {}): Promise<Services> {
    const services = new Services(place, env)
    await once(services.#server.listen(place.path('systemctl.sock')), 'listening')
    mkdirSync(place.path('bin'))
    const program = (name: string, text: string) =>
      writeFileSync(place.path(`bin/${name}`), text, { mode: 0o755 })
    program('anchorage', `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`)
    program('systemctl', `#!${process.execPath}\n${SYSTEMCTL}`)
    return services
  }

  private constructor(place: Place, env: NodeJS.ProcessEnv) {
    this.#place = place
    this.#env = env
    this.#server = createServer(async ({ url = '' }, response) => {
      const [, verb = '', name = ''] = url.split('/')
      const failure = await this.#obey(verb, decodeURIComponent(name)).catch((error: Error) => error)
      response.writeHead(failure instanceof Error ? 500 : 200).end(failure?.message)
    })
  }

  /** The settings of the folder. */
  get settings(): NodeJS.ProcessEnv {
    return { ...this.#env, ...parseEnv(readFileSync(this.#place.path('anchorage.env'), 'utf8')) }
  }

  add(name: string, service: OtherService): void {
    this.#others.set(name, service)
  }

  async #obey(verb: string, service: string): Promise<undefined> {
    const other = this.#others.get(service)
    const name = service.replace('anchorage@', '')
    if (verb === 'stop' || verb === 'restart') await (other ? other.stop() : this.#stop(name))
    if (verb === 'start' || verb === 'restart') await (other ? other.start() : this.start(name))
  }

  /** Resolves when the replica is in sync. */
  async start(name: string): Promise<void> {
    const node = this.#place.start(['node', '--data', `data/${name}`], { env: this.settings })
    this.#running.set(name, node)
    await node.until(({ event, detail }: Printed) => event === 'state' && detail.state === 'in-sync')
  }

  async #stop(name: string): Promise<void> {
    const node = this.#running.get(name)
    this.#running.delete(name)
    const code = await node?.interrupt('SIGTERM')
    if (code !== 0) throw new Error(`${name} ended with code ${code}`)
  }

  /** Its machine dies. */
  async kill(name: string): Promise<void> {
    const node = this.#running.get(name)!
    this.#running.delete(name)
    await node.interrupt('SIGKILL')
  }

  /** All replicas, without a word. */
  async end(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((name) => this.kill(name)))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end()
    this.#server.closeAllConnections()
    this.#server.close()
  }
}

/** Asks `Services`, and ends as a failed `systemctl` does. */
const SYSTEMCTL = `
const { request } = require('node:http')
const [verb, name] = process.argv.slice(2)
const path = \`/\${verb}/\${encodeURIComponent(name)}\`
request({ socketPath: 'systemctl.sock', path }, (response) => {
  response.pipe(process.stderr)
  if (response.statusCode !== 200) process.exitCode = 1
}).end()
`
