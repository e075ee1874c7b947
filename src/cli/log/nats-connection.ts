import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Authenticator, NodeConnectionOptions } from '@nats-io/transport-node'
import { UsageError } from '../errors.ts'

/** Files with what it takes to connect to NATS servers. */
export interface NatsFiles {
  readonly creds?: string
  readonly nkey?: string
  readonly tlsCa?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
}

type Connection = Pick<NodeConnectionOptions, 'authenticator' | 'tls'>
type Make = (file: Buffer) => Authenticator

/** The content of the files as options of the client. Throws `UsageError` for a file that cannot be used. */
export async function connectionOf(files: NatsFiles): Promise<Connection> {
  return { ...(await authentication(files)), ...(await transport(files)) }
}

async function authentication({ creds, nkey }: NatsFiles): Promise<Connection> {
  if (creds === undefined && nkey === undefined) return {}
  const { credsAuthenticator, nkeyAuthenticator } = await import('@nats-io/transport-node')
  if (creds !== undefined) return await authenticated(creds, 'credentials for NATS', credsAuthenticator)
  return await authenticated(nkey!, 'the seed of an NKey', (file) =>
    nkeyAuthenticator(Buffer.from(file.toString().trim())),
  )
}

/**
 * The file is read for each connection, because it may be renewed while a replica runs. If it cannot be used
 * then, its earlier content is: an authenticator that throws ends the client for good.
 */
async function authenticated(path: string, what: string, make: Make): Promise<Connection> {
  let last = make(await read(path))
  check(path, what, () => last())
  const authenticator: Authenticator = (nonce) => {
    try {
      const renewed = make(readFileSync(path))
      const answer = renewed(nonce)
      last = renewed
      return answer
    } catch {
      return last(nonce)
    }
  }
  return { authenticator }
}

async function transport({ tlsCa, tlsCert, tlsKey }: NatsFiles): Promise<Connection> {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError('--tls-cert and --tls-key belong together: give both, or neither')
  if (tlsCa === undefined && tlsCert === undefined) return {}
  if (tlsCa !== undefined) {
    const ca = await read(tlsCa)
    check(tlsCa, 'a certificate', () => new X509Certificate(ca))
  }
  if (tlsCert !== undefined && tlsKey !== undefined) {
    const { createSecureContext } = await import('node:tls')
    const [cert, key] = [await read(tlsCert), await read(tlsKey)]
    check(tlsCert, 'a certificate', () => new X509Certificate(cert))
    check(tlsKey, `the key of ${tlsCert}`, () => createSecureContext({ cert, key }))
  }
  // The client reads the files for each connection.
  return {
    tls: {
      ...(tlsCa !== undefined && { caFile: tlsCa }),
      ...(tlsCert !== undefined && { certFile: tlsCert, keyFile: tlsKey }),
    },
  }
}

async function read(path: string): Promise<Buffer> {
  return await readFile(path).catch((cause: Error) => {
    throw new UsageError(`${path} cannot be read: ${cause.message}`)
  })
}

function check(path: string, what: string, use: () => unknown): void {
  try {
    use()
  } catch {
    throw new UsageError(`${path} does not hold ${what}`)
  }
}
