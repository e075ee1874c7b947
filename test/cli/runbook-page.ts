import { readFileSync } from 'node:fs'

/** Commands of a page that are run together, and what they are to print. */
export interface Step {
  readonly commands: string
  /** Lines, with … for anything. None: whatever they print. */
  readonly expected: readonly string[]
}

export interface Procedure {
  readonly title: string
  readonly steps: readonly Step[]
}

const PAGE = new URL('../../docs/runbook.md', import.meta.url)

/** The sections of docs/runbook.md that have commands in blocks. */
export function readProcedures(): Procedure[] {
  const [, ...sections] = readFileSync(PAGE, 'utf8').split(/^## /m)
  return sections
    .map((section) => ({ title: section.split('\n', 1)[0]!, steps: stepsOf(section) }))
    .filter(({ steps }) => steps.length > 0)
}

/** A block of output belongs to the block of commands before it. */
function stepsOf(section: string): Step[] {
  const steps: { commands: string; expected: string[] }[] = []
  for (const [, indent = '', language, body = ''] of section.matchAll(/^( *)```(\w+)\n(.*?)^ *```$/gms)) {
    const lines = body.split('\n').map((line) => line.slice(indent.length))
    if (language === 'sh') steps.push({ commands: lines.join('\n'), expected: [] })
    else steps.at(-1)!.expected.push(...lines.filter((line) => line !== ''))
  }
  return steps
}

/** The first expected line that is not there after the one before it; undefined if all are. */
export function missingLine(expected: readonly string[], printed: string): string | undefined {
  const lines = printed.split('\n')
  return expected.find((line) => {
    const pattern = new RegExp(`^${line.split('…').map(RegExp.escape).join('.*')}$`)
    const at = lines.findIndex((printed) => pattern.test(printed))
    if (at >= 0) lines.splice(0, at + 1)
    return at < 0
  })
}
