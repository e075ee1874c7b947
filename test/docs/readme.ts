import { type Step, sectionsOf } from './walkthrough.ts'

/** The sections of README.md that readers run by copy and paste. The others show code that is a part of something. */
export const DEMO = 'See it work'
export const OWN_CODE = 'Your own, in three commands'

/** A figure with its unit, or a hash. */
const FIGURE = /\b(?:[0-9a-f]{16}|\d[\d,.]*(?: (?:s|ms|[kM]?B|providers?|times))?)(?!\w)/g

/** Throws if there is no such section, or if it has a block of code that nobody runs. */
export function stepsOf(page: string, title: string): readonly Step[] {
  const section = page.split(/^(?=## )/m).find((one) => one.startsWith(`## ${title}\n`))
  if (section === undefined) throw new Error(`README.md has no section "${title}"`)
  const [found] = sectionsOf(`\n${section}`)
  if (found === undefined) throw new Error(`nothing is to be run in "${title}"`)
  return found.steps
}

/** Lines of output, of which only the words count. Spaces that align columns do not. */
export function shapesOf(lines: readonly string[]): string[] {
  // Where an offer is still alive, nothing is captured for the newcomer. One provider may be enough.
  const always = lines.filter((line) => !line.includes(' captured '))
  return always.map(
    (line) =>
      `…${line
        .trim()
        .replaceAll(/providers?/g, '…')
        .replaceAll(FIGURE, '…')}`,
  )
}
