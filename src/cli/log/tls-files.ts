import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { UsageError } from '../errors.ts'

/** Files with what it takes to trust servers, and to be trusted by them. */
export interface TlsFiles {
  readonly tlsCa?: string
  readonly tlsCert?: string
  readonly tlsKey?: string
}

/** What the files hold, as `tls.connect` takes it. */
export interface TlsContent {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
}

/** The content of the files; undefined if none is given. Throws `UsageError` for a file that cannot be used. */
export async function tlsOf({ tlsCa, tlsCert, tlsKey }: TlsFiles): Promise<TlsContent | undefined> {
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw new UsageError('--tls-cert and --tls-key belong together: give both, or neither')
  if (tlsCa === undefined && tlsCert === undefined) return undefined
  return {
    ...(tlsCa !== undefined && { ca: await authority(tlsCa) }),
    ...(tlsCert !== undefined && tlsKey !== undefined && (await identity(tlsCert, tlsKey))),
  }
}

async function authority(path: string): Promise<Buffer> {
  const ca = await read(path)
  check(path, 'a certificate', () => new X509Certificate(ca))
  return ca
}

async function identity(certFile: string, keyFile: string): Promise<TlsContent> {
  const { createSecureContext } = await import('node:tls')
  const [cert, key] = [await read(certFile), await read(keyFile)]
  check(certFile, 'a certificate', () => new X509Certificate(cert))
  check(keyFile, `the key of ${certFile}`, () => createSecureContext({ cert, key }))
  return { cert, key }
}

/** Throws `UsageError` if there is no such file. */
export async function read(path: string): Promise<Buffer> {
  return await readFile(path).catch((cause: Error) => {
    throw new UsageError(`${path} cannot be read: ${cause.message}`)
  })
}

/** Throws `UsageError` if the content of a file cannot be used as what it should be. */
export function check(path: string, what: string, use: () => unknown): void {
  try {
    use()
  } catch {
    throw new UsageError(`${path} does not hold ${what}`)
  }
}
