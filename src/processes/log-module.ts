import { access } from 'node:fs/promises'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { LogBackend } from '../log/log.ts'
import { asError } from '../thrown.ts'
import { LogModuleUnusable } from './errors.ts'

/**
 * The backend that a user's module gives: its default export is one, or a function that makes one for a group.
 * Rejects with `LogModuleUnusable` for a module that gives none.
 *
 * @param module its URL, or a path, which is relative to the working directory
 */
export async function backendOf(module: string | URL, group: string): Promise<LogBackend> {
  const file = module instanceof URL ? fileURLToPath(module) : resolve(module)
  const name = module instanceof URL ? file : module
  const backend = await made(name, await defaultOf(name, file), group)
  if (isBackend(backend)) return backend
  throw new LogModuleUnusable(
    `the default export of ${name} is no backend, and no function that makes one: export default { async open(init) { … } }, or (group) => …; see docs/writing-a-log.md`,
  )
}

async function defaultOf(name: string, file: string): Promise<unknown> {
  await access(file).catch((cause) => {
    throw new LogModuleUnusable(`there is no file ${name}: name a module of a log, such as ./files-log.ts`, {
      cause,
    })
  })
  try {
    const { default: given } = (await import(pathToFileURL(file).href)) as { readonly default?: unknown }
    return given
  } catch (cause) {
    throw new LogModuleUnusable(`${name} cannot be loaded: ${asError(cause).message}`, { cause })
  }
}

async function made(name: string, given: unknown, group: string): Promise<unknown> {
  if (typeof given !== 'function') return given
  try {
    return await given(group)
  } catch (cause) {
    throw new LogModuleUnusable(`${name} makes no backend: ${asError(cause).message}`, { cause })
  }
}

function isBackend(given: unknown): given is LogBackend {
  return typeof given === 'object' && given !== null && typeof (given as LogBackend).open === 'function'
}
