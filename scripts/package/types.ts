import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A program's own settings, the strictest that are common. `skipLibCheck` is not set unless it is said. */
const STRICT = {
  strict: true,
  noUncheckedIndexedAccess: true,
  noEmit: true,
  target: 'es2022',
  types: ['node'],
}
const EXACT = { exactOptionalPropertyTypes: true }
const RESOLUTIONS = {
  nodenext: { module: 'nodenext' },
  bundler: { module: 'esnext', moduleResolution: 'bundler' },
}
/** Its classes do not fit its own interfaces there. docs/compatibility.md says so, and which line helps. */
const INEXACT = /^node_modules\/@nats-io\/nats-core\//

/**
 * Whether the types of all entry points, and of what they import, are right in a project that has the package, `typescript`
 * and `@types/node`. Returns what TypeScript finds.
 */
export function checkTypes(project: string, entryPoints: readonly string[]): string[] {
  const lines = entryPoints.map((name, n) => `import * as m${n} from '${name}'${attributes(name)}`)
  const used = `export const all = [${entryPoints.map((_, n) => `m${n}`).join(', ')}]`
  writeFileSync(join(project, 'all.ts'), `${[...lines, used].join('\n')}\n`)
  return Object.entries(RESOLUTIONS).flatMap(([name, resolution]) => {
    const compile = (more: object) => compileWith(project, { ...STRICT, ...resolution, ...more })
    return [
      ...compile({}),
      ...compile({ ...EXACT, skipLibCheck: true }),
      ...compile(EXACT).filter((finding) => !INEXACT.test(finding)),
    ].map((finding) => `types, ${name}: ${finding}`)
  })
}

function attributes(name: string): string {
  return name.endsWith('.json') ? " with { type: 'json' }" : ''
}

function compileWith(project: string, compilerOptions: object): string[] {
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['all.ts'] }))
  const args = ['node_modules/typescript/bin/tsc', '--pretty', 'false']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: project, encoding: 'utf8' })
  // A line that begins with a space goes on with the finding before it.
  const findings = stdout.split('\n').filter((line) => /^\S/.test(line))
  if (status !== 0 && findings.length === 0) return [`tsc ended with ${status}: ${stderr}`]
  return findings
}
