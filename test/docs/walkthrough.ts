/**
 * A page that is followed step by step. What a block of code is for stands behind its language, where a reader does not see it:
 *
 * - `ts file=NAME`: save it as NAME. `ts from=NAME`: a part of NAME, which a later step runs.
 * - `diff file=NAME`: change NAME so. `@@` stands between changes.
 * - `sh`: run it to its end. `sh terminal=N`: run it in that terminal, where it goes on. What ran there ends before, by
 *   Ctrl-D or by what `stop` says. `ends=M`: so does what runs in that one; it may be several, `1,2`.
 * - `text`: lines that the `sh` before it prints. `text shows=N`: that terminal shows these lines. `text type=N`: type them there;
 *   `ends=M`: after those terminals' keys to stop. `…` stands for anything.
 */
export type Step =
  | { readonly kind: 'file' | 'part' | 'change'; readonly name: string; readonly body: string }
  | { readonly kind: 'run'; readonly body: string; readonly prints: readonly string[] }
  | {
      readonly kind: 'start'
      readonly body: string
      readonly terminal: string
      readonly stop: StopKey
      readonly ends?: string
    }
  | {
      readonly kind: 'shows'
      readonly lines: readonly string[]
      readonly terminal: string
      readonly ends?: string
    }
  | { readonly kind: 'type'; readonly body: string; readonly terminal: string; readonly ends?: string }

/** Ctrl-\ kills: the program gets no chance to say goodbye. */
export type StopKey = (typeof STOP_KEYS)[number]
const STOP_KEYS = ['Ctrl-C', 'Ctrl-D', 'Ctrl-\\'] as const

export interface Section {
  readonly title: string
  readonly steps: readonly Step[]
}

/** The sections of a page that have blocks of code. Throws for a block that nobody would run. */
export function sectionsOf(page: string): Section[] {
  const [, ...sections] = page.split(/^## /m)
  return sections
    .map((section) => ({ title: section.split('\n', 1)[0]!, steps: stepsOf(section) }))
    .filter(({ steps }) => steps.length > 0)
}

/** The steps of a page, or of a part of one. Throws for a block of code that nobody would run. */
export function stepsOf(section: string): Step[] {
  const steps: Step[] = []
  const blocks = [...section.matchAll(/^```(\w.*)\n((?:.*\n)*?)```$/gm)]
  if (section.split('```').length !== 2 * blocks.length + 1)
    throw new Error(`a block of code is indented, or says no language:\n${section}`)
  for (const [, info = '', body = ''] of blocks) {
    const [language, ...words] = info.split(' ')
    const given = Object.fromEntries(words.map((word) => word.split('=') as [string, string]))
    const lines = body.split('\n').filter((line) => line !== '')
    const last = steps.at(-1)
    if (language === 'text' && words.length === 0 && last?.kind === 'run') {
      steps[steps.length - 1] = { ...last, prints: lines }
    } else {
      steps.push(stepOf(`${language} ${Object.keys(given)}`, given, body, lines, info))
    }
  }
  return steps
}

function stepOf(
  kind: string,
  given: Readonly<Record<string, string>>,
  body: string,
  lines: readonly string[],
  info: string,
): Step {
  const { file, from, terminal, shows, type, ends } = given
  const stop = STOP_KEYS.find((key) => key === (given.stop ?? 'Ctrl-D'))
  if (kind === 'ts file') return { kind: 'file', name: file!, body }
  if (kind === 'ts from') return { kind: 'part', name: from!, body }
  if (kind === 'diff file') return { kind: 'change', name: file!, body }
  if (kind === 'sh ') return { kind: 'run', body, prints: [] }
  const before = ends === undefined ? {} : { ends }
  if (/^sh terminal(,stop)?(,ends)?$/.test(kind) && stop !== undefined)
    return { kind: 'start', body: body.trim(), terminal: terminal!, stop, ...before }
  if (/^text shows(,ends)?$/.test(kind)) return { kind: 'shows', lines, terminal: shows!, ...before }
  if (/^text type(,ends)?$/.test(kind)) return { kind: 'type', body, terminal: type!, ...before }
  throw new Error(`nobody runs this block of code: ${info}\n${body}`)
}

/** A file after the hunks of a diff, which `@@` parts. Throws if the lines of one are not there exactly once. */
export function changed(text: string, diff: string): string {
  return diff.split(/^@@\n/m).reduce((result, hunk) => {
    const before = linesOf(hunk, ' -')
    if (result.split(before).length !== 2)
      throw new Error(`the file does not have these lines once:\n${before}`)
    return result.replace(before, () => linesOf(hunk, ' +'))
  }, text)
}

function linesOf(hunk: string, signs: string): string {
  const lines = hunk.split('\n').filter((line) => line !== '' && signs.includes(line[0]!))
  return lines.map((line) => `${line.slice(1)}\n`).join('')
}

/** Behind which line of those printed each expected one stands, in order; undefined if one does not. */
export function placeOf(expected: readonly string[], printed: readonly string[]): number | undefined {
  let from = 0
  for (const line of expected) {
    const pattern = new RegExp(`^${line.split('…').map(RegExp.escape).join('.*')}$`)
    const at = printed.findIndex((each, n) => n >= from && pattern.test(each))
    if (at < 0) return undefined
    from = at + 1
  }
  return from
}
