import { plainText } from '../../plain-text.ts'
import { type Context, EXIT } from '../context.ts'
import { type Examined, examine } from '../doctor/examination.ts'
import { Patient } from '../doctor/patient.ts'
import type { Output } from '../output.ts'
import { networkOf } from './network-key.ts'
import type { NodeOptions } from './node.ts'

/**
 * Looks at all that a replica with these flags needs, on the machine where it runs or would run. Tells what is wrong and
 * what to do. Nothing is changed anywhere.
 */
export async function doctor(context: Context, options: NodeOptions): Promise<number> {
  const { output, signal } = context
  // A check of its own tells of a key that cannot be used.
  const { networkKey } = await networkOf(context).catch(() => ({ networkKey: undefined }))
  await using patient = new Patient(context, options, networkKey)
  const examined = await output.waiting('looking', examine(patient, signal))
  const well = examined.every(({ level }) => level !== 'fail')
  if (output.json) output.object({ well, checks: examined })
  else print(examined, output)
  return well ? EXIT.ok : EXIT.unwell
}

const STYLES = { ok: 'green', warn: 'yellow', fail: 'red' } as const

function print(examined: readonly Examined[], output: Output): void {
  const width = Math.max(...examined.map(({ check }) => check.length))
  for (const { level, check, message, remedy } of examined) {
    output.line(
      `${output.style(STYLES[level], level.padEnd(4))}  ${check.padEnd(width)}  ${plainText(message)}`,
    )
    if (remedy !== undefined) output.line(`      ${' '.repeat(width)}  → ${plainText(remedy)}`)
  }
  const failures = examined.filter(({ level }) => level === 'fail').length
  const warnings = examined.filter(({ level }) => level === 'warn').length
  output.line()
  output.line(
    failures > 0
      ? output.style('red', `${failures} of ${examined.length} failed`)
      : `nothing is wrong${warnings > 0 ? `, ${warnings} to look at` : ''}`,
  )
}
