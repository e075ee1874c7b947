import { readFileSync } from 'node:fs'
import type { Authenticator, NodeConnectionOptions } from '@nats-io/transport-node'
import { check, read, type TlsFiles, tlsOf } from './tls-files.ts'

/** Files with what it takes to be let in by NATS servers. */
export interface NatsFiles {
  readonly creds?: string
  readonly nkey?: string
}

type Connection = Pick<NodeConnectionOptions, 'authenticator' | 'tls'>
type Make = (file: Buffer) => Authenticator

/** The content of the files as options of the client. Throws `UsageError` for a file that cannot be used. */
export async function connectionOf(files: NatsFiles & TlsFiles): Promise<Connection> {
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

/** The client reads the files for each connection. They are read here to be checked. */
async function transport(files: TlsFiles): Promise<Connection> {
  if ((await tlsOf(files)) === undefined) return {}
  const { tlsCa, tlsCert, tlsKey } = files
  return {
    tls: {
      ...(tlsCa !== undefined && { caFile: tlsCa }),
      ...(tlsCert !== undefined && { certFile: tlsCert, keyFile: tlsKey }),
    },
  }
}
