import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Transform } from '../replica/import/import-into.ts'
import { asError } from '../thrown.ts'
import { UsageError } from './errors.ts'

/**
 * The transform in a user's module: its default export is the function, and `signature`, if it is there,
 * names the machine that will have the items. Throws `UsageError` for a module that is none.
 */
export async function transformIn(path: string): Promise<Transform> {
  const module = await load(path)
  const { default: items, signature } = module
  if (typeof items !== 'function') {
    throw new UsageError(
      `${path} has no transform: export default async function* (items, { signature, position, timeMs }) { … }`,
    )
  }
  if (signature !== undefined && typeof signature !== 'string') {
    throw new UsageError(`the signature that ${path} exports is no string`)
  }
  return { items: items as Transform['items'], ...(signature !== undefined && { signature }) }
}

async function load(path: string): Promise<Record<string, unknown>> {
  try {
    return await import(pathToFileURL(resolve(path)).href)
  } catch (cause) {
    throw new UsageError(`${path} cannot be loaded: ${asError(cause).message}`, { cause })
  }
}
