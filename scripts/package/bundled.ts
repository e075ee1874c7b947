import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { run } from './archive.ts'

/** Binary code, which no bundler reads. */
const NATIVE = ['@napi-rs/blake-hash']
/** One class of errors is 9 kB, with what stands in the same file. Without `sideEffects: false` it is 39 kB. */
const BYTES_MAX = 15_000
const PROGRAM = "import { LogUnavailable } from 'anchorage'\nconsole.log(LogUnavailable.name)\n"

/** Holds `sideEffects: false` of package.json: who needs one class of errors in a bundle does not get the rest with it. */
export async function bundleFindings(project: string): Promise<string[]> {
  const input = join(project, 'bundle-me.js')
  writeFileSync(input, PROGRAM)
  const build = await rolldown({ input, platform: 'node', external: NATIVE, logLevel: 'silent' })
  // What is loaded later goes into files of its own, whether or not this program can come there.
  const { output } = await build.write({ dir: join(project, 'bundled'), format: 'esm' })
  await build.close()
  const { length } = output[0].code
  if (length > BYTES_MAX) return [`bundle: one class of errors makes ${length} bytes`]
  const printed = run(process.execPath, [join('bundled', output[0].fileName)], project).trim()
  return printed === 'LogUnavailable' ? [] : [`bundle: the program printed ${printed}`]
}
