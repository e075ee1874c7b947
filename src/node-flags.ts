import { createRequire } from 'node:module'
import { isAbsolute, join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Node resolved the preloads of its command line against this folder. The program may be somewhere else by now. */
const START_FOLDER = process.cwd()

const PRELOADS = new Set(['--import', '--require', '-r'])
/** What a program prints stays as its user wants it, in its threads too. */
const PRINTING = /^--(no-warnings|disable-warning=|trace-warnings|enable-source-maps)/
/** The type of code that is no file, and a port that is taken: neither fits another process. */
const OWN = /^--(input-type|inspect)/

/**
 * The flags of this process that a thread of ours keeps: preloads that are found, and what concerns printing. Inherited as
 * they are, others end the thread before its first line: a thread's file may not have the type that piped code has, and a
 * relative preload is looked for in the folder of today. Limits of V8 hold for the whole process anyway.
 */
export function threadFlags(): { readonly execArgv: string[]; readonly env: NodeJS.ProcessEnv } {
  const { NODE_OPTIONS = '', ...env } = process.env
  const flags = [...words(NODE_OPTIONS), ...process.execArgv]
  return { execArgv: kept(flags, (flag) => PRINTING.test(flag)), env }
}

/** The environment for a process of ours, whose NODE_OPTIONS must not end it either. */
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

/** A preload, named so that it is found from anywhere; undefined for one that is not found any more. */
function found(flag: string, preload: string): string | undefined {
  if (/^(file|data|node):/.test(preload)) return preload
  const isPath = isAbsolute(preload) || /^\.\.?[/\\]/.test(preload)
  // A package may be found by `import` alone.
  if (flag === '--import' && !isPath) return process.cwd() === START_FOLDER ? preload : undefined
  try {
    const path = createRequire(join(START_FOLDER, 'start.js')).resolve(preload)
    return flag === '--import' ? pathToFileURL(path).href : path
  } catch {
    return undefined
  }
}

/** The flags in NODE_OPTIONS: separated by spaces, which may stand between double quotes. */
function words(options: string): string[] {
  return Array.from(options.matchAll(/(?:"(?:\\.|[^"\\])*"|[^\s"])+/g), ([word]) =>
    word.replace(/"((?:\\.|[^"\\])*)"/g, (_, quoted: string) => quoted.replace(/\\(.)/g, '$1')),
  )
}
