import { packageVersion } from '../../package-version.ts'
import { type Context, EXIT } from '../context.ts'
import { UsageError } from '../errors.ts'
import { writeProject } from './project.ts'

/** Write a small project into a directory that is empty, or not there. Needs no newer Node than npm does. */
export async function init({ output }: Context, dir: string): Promise<number> {
  const { text, note, ...result } = await writeProject(dir, {
    version: packageVersion(),
    example: 'anchorage init my-app',
    refusal: (message, options) => new UsageError(message, options),
  })
  output.result(result, text)
  if (note !== undefined) output.note(note)
  return EXIT.ok
}
