import { readFile, writeFile } from 'node:fs/promises'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'

/** Make a key for a network of replicas. Never writes over a file. */
export async function networkKey({ output }: Context, path: string): Promise<number> {
  const { makeNetworkKey } = await import('../../replica/node/network-key.ts')
  await writeFile(path, makeNetworkKey(), { mode: 0o600, flag: 'wx' }).catch(
    (cause: NodeJS.ErrnoException) => {
      throw new UsageError(
        cause.code === 'EEXIST'
          ? `${path} is there already: remove it, or give another name`
          : `${path} cannot be written: ${cause.message}`,
      )
    },
  )
  output.result(
    { path },
    `${path} is the key: give it to every replica, with --network-key, and to nobody else`,
  )
  return EXIT.ok
}

/** The network key for a replica that a command starts, if the user has given one. */
export async function networkOf({ networkKey: path }: Context): Promise<{ networkKey?: Uint8Array }> {
  if (path === undefined) return {}
  const key = await readFile(path).catch((cause: Error) => {
    throw new UsageError(`${path} cannot be read: ${cause.message}`)
  })
  const { isNetworkKey } = await import('../../replica/node/network-key.ts')
  if (!isNetworkKey(key)) throw new UsageError(`${path} holds no key as \`anchorage network-key\` makes one`)
  return { networkKey: key }
}
