import { createConnection, type Socket } from 'node:net'
import { asError } from '../../thrown.ts'

/** What became of a TCP connection to an address. */
export interface AddressTry {
  /** As the replica announces it. */
  readonly address: string
  readonly connects: boolean
  readonly tookMs: number
  /** Why it does not connect; empty if it does. */
  readonly why: string
}

/** Where an address leads to. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

const ADDRESS = /^\/(?:ip4|ip6|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d+)(?:\/|$)/
const LOOPBACK = /^(127\.|::1$|localhost$)/
const ANY_HOST = /^(0\.0\.0\.0|::)$/

/** Undefined for an address that is not of TCP. */
export function endpointOf(address: string): Endpoint | undefined {
  const [, host, port] = ADDRESS.exec(address) ?? []
  return host === undefined ? undefined : { host, port: Number(port) }
}

/** True for an address that only programs on the same machine can use. */
export function isLoopback(address: string): boolean {
  return LOOPBACK.test(endpointOf(address)?.host ?? '')
}

/** True for an address to listen on that stands for every interface. */
export function isAnyHost(address: string): boolean {
  return ANY_HOST.test(endpointOf(address)?.host ?? '')
}

/** Try to connect to each address at once, and close what connects. Never rejects. */
export async function tryAddresses(addresses: readonly string[], timeoutMs: number): Promise<AddressTry[]> {
  return await Promise.all(addresses.map((address) => tryAddress(address, timeoutMs)))
}

async function tryAddress(address: string, timeoutMs: number): Promise<AddressTry> {
  const beganMs = performance.now()
  const endpoint = endpointOf(address)
  const why = endpoint === undefined ? 'is not of TCP, and was not tried' : await refusal(endpoint, timeoutMs)
  return { address, connects: why === '', tookMs: performance.now() - beganMs, why }
}

async function refusal(endpoint: Endpoint, timeoutMs: number): Promise<string> {
  try {
    await connection(endpoint, timeoutMs)
    return ''
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    return WHY[code] ?? asError(error).message
  }
}

function connection(endpoint: Endpoint, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let socket: Socket | undefined
    const timer = setTimeout(() => end(new Error(`gives no answer within ${timeoutMs} ms`)), timeoutMs)
    const end = (error?: Error) => {
      clearTimeout(timer)
      socket?.destroy()
      if (error === undefined) resolve()
      else reject(error)
    }
    // Node throws for some names at once.
    try {
      socket = createConnection(endpoint)
        .on('connect', () => end())
        .on('error', end)
    } catch (error) {
      end(asError(error))
    }
  })
}

/** What an address does, by the code of the system's error. */
const WHY: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses the connection: nobody listens there',
  ECONNRESET: 'breaks the connection',
  EHOSTUNREACH: 'cannot be routed to',
  ENETUNREACH: 'cannot be routed to',
  EADDRNOTAVAIL: 'cannot be routed to',
  ETIMEDOUT: 'gives no answer',
  ENOTFOUND: 'has a name that does not resolve',
  EAI_AGAIN: 'has a name that does not resolve',
}
