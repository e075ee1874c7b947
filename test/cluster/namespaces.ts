import { type ChildProcess, execFileSync, fork, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { describe } from 'vitest'
import { describeNats } from '../log/nats.ts'

/** CI may set it, where namespaces can be made: there it is no excuse that they cannot. */
const REQUIRED = process.env.REQUIRE_NETNS === '1'
/** The kernel lets others than root make networks in a user namespace only, and not everywhere. */
const IS_ROOT = process.getuid?.() === 0
const NEW_HOST = ['unshare', '--net'] as const
const NEW_SWITCH = IS_ROOT ? NEW_HOST : ([...NEW_HOST, '--map-root-user'] as const)
const ADD_SWITCH = 'ip link add switch type bridge'

/** Tests that need network namespaces, and `nats-server`. Where there are none they are skipped, and say so, or fail where required. */
export function describeNamespaces(name: string, tests: () => void): void {
  const problem = findProblem()
  if (problem === undefined || REQUIRED) return describeNats(name, tests)
  console.warn(`SKIPPED, because network namespaces cannot be made here (${problem}): ${name}`)
  describe.skip(name, tests)
}

/** Why there can be no switch here, or undefined. */
function findProblem(): string | undefined {
  const [program, ...args] = [...NEW_SWITCH, ...ADD_SWITCH.split(' ')] as const
  const { error, status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  return status === 0 ? undefined : (error?.message ?? stderr.trim())
}

/** A machine, as far as the network goes: processes that are run under it have this address and no other. */
export interface Host {
  readonly address: string
  /** See `StartOptions`. */
  readonly runUnder: readonly [string, ...string[]]
  /** Where it is plugged in at the switch. */
  readonly port: string
}

/** Use it with `await using`. */
export async function startNetwork(): Promise<Network> {
  return new Network(await hold(NEW_SWITCH))
}

/**
 * Hosts at one switch, each of them a network namespace, none of them with a name or a way out. This machine's own network
 * is not touched. Processes hold the namespaces, and these end with ours, however that ends.
 */
export class Network implements AsyncDisposable {
  readonly #switch: Namespace
  readonly #hosts: Namespace[] = []
  readonly #nats: ChildProcess[] = []
  #count = 0

  /** Use `startNetwork`. */
  constructor(bridge: Namespace) {
    this.#switch = bridge
    run(bridge, ADD_SWITCH)
    run(bridge, 'ip link set switch up')
  }

  /**
   * @param options.deadEnd its first network card is at a cable to nowhere: of those who dial that address nobody hears an answer, nor
   * that there is none
   */
  async addHost(options: { readonly deadEnd?: boolean } = {}): Promise<Host> {
    const number = ++this.#count
    const [address, port] = [`10.77.0.${number}`, `port-${number}`]
    const host = await hold([...this.#switch.runUnder, ...NEW_HOST])
    this.#hosts.push(host)
    if (options.deadEnd) {
      run(host, 'ip link add dead type veth peer name end')
      run(host, `ip address add 10.99.${number}.1/24 dev dead`)
      for (const card of ['dead', 'end']) run(host, `ip link set ${card} up`)
    }
    run(this.#switch, `ip link add ${port} type veth peer name eth0 netns ${host.pid}`)
    run(this.#switch, `ip link set ${port} master switch up`)
    run(host, `ip address add ${address}/24 dev eth0`)
    run(host, 'ip link set lo up')
    run(host, 'ip link set eth0 up')
    if (options.deadEnd) run(host, 'ip route add 10.99.0.0/16 via 10.77.0.254')
    return { address, port, runUnder: host.runUnder }
  }

  /** Start a NATS server there. Resolves with its URLs when JetStream answers. */
  async startNats({ address, runUnder }: Host): Promise<string[]> {
    const [execPath, ...before] = runUnder
    const program = new URL('./nats-process.ts', import.meta.url)
    const server = fork(program, [address], { execPath, execArgv: [...before, process.execPath] })
    this.#nats.push(server)
    const [urls] = await firstOf(server, once(server, 'message'))
    return urls as string[]
  }

  /**
   * From now on these two do not hear each other, without being told; each of them hears everybody else. One cut at a time: what
   * the switch keeps apart are all ports that are isolated.
   */
  cut(a: Host, b: Host): void {
    this.#isolate([a, b], 'on')
  }

  mend(a: Host, b: Host): void {
    this.#isolate([a, b], 'off')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#nats) if (server.connected) server.disconnect()
    await Promise.all(this.#nats.map(ended))
    await Promise.all([...this.#hosts, this.#switch].map((namespace) => namespace.release()))
  }

  #isolate(hosts: readonly Host[], how: 'on' | 'off'): void {
    for (const { port } of hosts) run(this.#switch, `ip link set ${port} type bridge_slave isolated ${how}`)
  }
}

interface Namespace {
  readonly pid: number
  readonly runUnder: readonly [string, ...string[]]
  readonly release: () => Promise<void>
}

/** A namespace is there as long as a process is in it: this one waits for the end of its input, and so for ours. */
async function hold([program, ...args]: readonly [string, ...string[]]): Promise<Namespace> {
  const script = 'trap "" INT TERM HUP; echo; read -r _'
  const holder = spawn(program, [...args, 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] })
  await firstOf(holder, once(holder.stdout, 'data'))
  const pid = holder.pid!
  const user = IS_ROOT ? [] : ['--user', '--preserve-credentials']
  return {
    pid,
    runUnder: ['nsenter', `--target=${pid}`, ...user, '--net', '--'],
    async release() {
      holder.stdin.end()
      await ended(holder)
    },
  }
}

function run({ runUnder: [program, ...args] }: Namespace, command: string): void {
  execFileSync(program, [...args, ...command.split(' ')], { stdio: 'pipe' })
}

async function firstOf<T>(child: ChildProcess, sign: Promise<T>): Promise<T> {
  const early = once(child, 'exit').then(([code]) => {
    throw new Error(`${child.spawnfile} ended too early, with code ${code}`)
  })
  return await Promise.race([sign, early])
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}
