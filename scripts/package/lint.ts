import { readFileSync } from 'node:fs'
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { problemAffectsResolutionKind } from '@arethetypeswrong/core/problems'
import type { ResolutionKind } from '@arethetypeswrong/core/types'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'

/**
 * How modules of today find a package. The package has ECMAScript modules only, as libp2p has. So two ways are left out:
 * TypeScript's `node10`, which knows no `exports`, and `require` in a CommonJS file, which Node 24 takes all the same.
 */
const RESOLUTIONS: readonly ResolutionKind[] = ['node16-esm', 'bundler']

/** What publint and attw find in a packed archive: its package.json, its files, and how types are found. */
export async function lint(archive: string, entryPoints: readonly string[]): Promise<string[]> {
  const data = new Uint8Array(readFileSync(archive))
  return [...(await manifestFindings(data)), ...(await typeFindings(data, entryPoints))]
}

async function manifestFindings(data: Uint8Array<ArrayBuffer>): Promise<string[]> {
  const { messages, pkg } = await publint({
    pack: { tarball: data.buffer },
    level: 'suggestion',
    strict: true,
  })
  return messages.map((message) => {
    const text = formatMessage(message, pkg!, { color: false }) ?? message.code
    return `publint: ${message.type}: ${text}`
  })
}

async function typeFindings(data: Uint8Array, entryPoints: readonly string[]): Promise<string[]> {
  const result = await checkPackage(createPackageFromTarballData(data))
  if (result.types === false) return ['attw: the package has no types']
  const seen = Object.keys(result.entrypoints)
  // It leaves out what it cannot read, which would pass for clean.
  if (seen.length !== entryPoints.length) return [`attw: it looked only at ${seen.join(', ')}`]
  return result.problems.flatMap((problem) => {
    const affected = RESOLUTIONS.filter((one) => problemAffectsResolutionKind(problem, one, result))
    if (affected.length === 0) return []
    const { kind, ...where } = problem
    return [`attw: ${kind} (${affected.join(', ')}): ${JSON.stringify(where)}`]
  })
}
