import { randomBytes } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { asError } from '../../thrown.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'

/**
 * What is done with the key in a file. `make` makes the file. `rotate` puts a new key before the one that is there.
 * `retire` leaves the new key alone. `show` tells which keys there are.
 */
export type KeyAction = 'make' | 'rotate' | 'retire' | 'show'

/** Make a key for a network of replicas, or replace it. Loses a key with `retire` alone. */
export async function networkKey(context: Context, path: string, action: KeyAction): Promise<number> {
  switch (action) {
    case 'make':
      return await makeKey(context, path)
    case 'rotate':
      return await rotateKey(context, path)
    case 'retire':
      return await retireKey(context, path)
    case 'show':
      return tell(
        context,
        path,
        await keysAt(path),
        '`anchorage status` tells which ones the replicas accept',
      )
  }
}

async function makeKey(context: Context, path: string): Promise<number> {
  const { makeNetworkKey } = await import('../../replica/node/network-key.ts')
  await write(path, Buffer.from(makeNetworkKey()).toString())
  const then = 'give it to every replica, with --network-key, and to nobody else'
  return tell(context, path, await keysAt(path), then)
}

async function rotateKey(context: Context, path: string): Promise<number> {
  const { makeNetworkKey, networkKeysIn } = await import('../../replica/node/network-key.ts')
  const keys = await keysAt(path)
  if (keys.length > 1)
    throw new UsageError(
      `${path} holds two keys already: end that rotation with "retire" when every replica has this file`,
    )
  const next = [...networkKeysIn(makeNetworkKey()), ...keys]
  await replace(path, next)
  return tell(
    context,
    path,
    next,
    'copy it to every machine, and restart the replicas one after the other; then "retire"',
  )
}

async function retireKey(context: Context, path: string): Promise<number> {
  const keys = await keysAt(path)
  if (keys.length === 1) throw new UsageError(`${path} holds one key: there is none to retire`)
  const next = keys.slice(0, 1)
  await replace(path, next)
  return tell(context, path, next, 'copy it to every machine, and restart the replicas one after the other')
}

type Keys = Awaited<ReturnType<typeof keysAt>>

/** Names of keys only: no key is printed. */
function tell({ output }: Context, path: string, keys: Keys, then: string): number {
  const names = keys.map(({ fingerprint }) => fingerprint)
  output.result({ path, keys: names }, `${path} holds ${names.join(' and ')}: ${then}`)
  return EXIT.ok
}

/** In one step: who reads the file meanwhile reads the old content or the new one. */
async function replace(path: string, keys: Keys): Promise<void> {
  const beside = `${path}.${randomBytes(4).toString('hex')}`
  try {
    await write(beside, keys.map(({ content }) => `${content}\n`).join(''))
    await rename(beside, path)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}

async function write(path: string, content: string): Promise<void> {
  await writeFile(path, content, { mode: 0o600, flag: 'wx', flush: true }).catch(
    (cause: NodeJS.ErrnoException) => {
      throw new UsageError(
        cause.code === 'EEXIST'
          ? `${path} is there already: replace its key with "rotate", or give another name`
          : `${path} cannot be written: ${cause.message}`,
      )
    },
  )
}

async function keysAt(path: string) {
  const { networkKeysIn } = await import('../../replica/node/network-key.ts')
  const content = await read(path)
  try {
    return networkKeysIn(content)
  } catch (cause) {
    throw new UsageError(`${path}: ${asError(cause).message}`)
  }
}

async function read(path: string): Promise<Uint8Array> {
  return await readFile(path).catch((cause: Error) => {
    throw new UsageError(`${path} cannot be read: ${cause.message}`)
  })
}

/** The network key for a replica that a command starts, if the user has given one. */
export async function networkOf({ networkKey: path }: Context): Promise<{ networkKey?: Uint8Array }> {
  if (path === undefined) return {}
  await keysAt(path)
  return { networkKey: await read(path) }
}
