import { createRequire } from 'node:module'
import { isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/**
 * The working directory when this module was loaded. Node resolved the preloads of its command line against
 * it; the program may have changed it since.
 */
const START_FOLDER = process.cwd()

const PRELOADS = new Set(['--import', '--require', '-r'])
/** Flags about printing. A thread keeps them, so that it prints as the user wants. */
const PRINTING = /^--(no-warnings|disable-warning=|trace-warnings|enable-source-maps)/
/**
 * Flags that fit this process only: the module type of piped code, and an inspector's port, which is taken.
 */
const OWN = /^--(input-type|inspect)/

/**
 * The flags of this process that our threads keep: flags about printing, and preloads that are found. A
 * thread that inherited all flags could end before its first line: the module type of piped code does not fit
 * a thread's file, and a relative preload would be searched in the current directory. V8's limits need no
 * flag, because they hold for the whole process.
 */
export function threadFlags(): { readonly execArgv: string[]; readonly env: NodeJS.ProcessEnv } {
  const { NODE_OPTIONS = '', ...env } = process.env
  const flags = [...words(NODE_OPTIONS), ...process.execArgv]
  return { execArgv: kept(flags, (flag) => PRINTING.test(flag)), env }
}

/**
 * The environment for a child process of ours. It keeps only those flags of NODE_OPTIONS that cannot end the
 * child.
 */
export function childEnv(): NodeJS.ProcessEnv {
  const { NODE_OPTIONS, ...env } = process.env
  if (NODE_OPTIONS === undefined) return env
  const flags = kept(words(NODE_OPTIONS), (flag) => !OWN.test(flag))
  return { ...env, NODE_OPTIONS: flags.map((flag) => JSON.stringify(flag)).join(' ') }
}

function kept(flags: readonly string[], keeps: (flag: string) => boolean): string[] {
  const result: string[] = []
  for (let at = 0; at < flags.length; at++) {
    const flag = flags[at]!
    const [name = '', inline] = flag.split(/=(.*)/s)
    if (PRELOADS.has(name)) {
      const file = found(name, inline ?? flags[++at] ?? '')
      if (file !== undefined) result.push(name, file)
    } else if (flag === '--input-type') at++
    else if (keeps(flag)) result.push(flag)
  }
  return result
}

/** A preload under a name that works from any directory; undefined if it cannot be found any more. */
function found(flag: string, preload: string): string | undefined {
  if (/^(file|data|node):/.test(preload)) return preload
  const isPath = isAbsolute(preload) || /^\.\.?[/\\]/.test(preload)
  // A package may offer only an `import` entry, which `require.resolve` cannot find.
  if (flag === '--import' && !isPath) return process.cwd() === START_FOLDER ? preload : undefined
  try {
    const path = createRequire(join(START_FOLDER, 'start.js')).resolve(preload)
    return flag === '--import' ? pathToFileURL(path).href : path
  } catch {
    return undefined
  }
}

/** The flags in NODE_OPTIONS. Spaces separate them, except between double quotes. */
function words(options: string): string[] {
  return Array.from(options.matchAll(/(?:"(?:\\.|[^"\\])*"|[^\s"])+/g), ([word]) =>
    word.replace(/"((?:\\.|[^"\\])*)"/g, (_, quoted: string) => quoted.replace(/\\(.)/g, '$1')),
  )
}
