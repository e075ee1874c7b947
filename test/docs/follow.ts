import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Terminals } from './terminals.ts'
import { changed, type Step } from './walkthrough.ts'

/** Do what a page says. `here`: a text of the page, with what stands for its names. Rejects if it shows something else. */
export async function follow(
  step: Step,
  terminals: Terminals,
  here = (text: string): string => text,
): Promise<void> {
  if ('ends' in step) for (const terminal of step.ends!.split(',')) await terminals.end(terminal)
  switch (step.kind) {
    case 'file':
      return writeFileSync(join(terminals.cwd, step.name), step.body)
    case 'change': {
      const path = join(terminals.cwd, step.name)
      return writeFileSync(path, here(changed(readFileSync(path, 'utf8'), step.body)))
    }
    // Another step brings the file, and runs it: followAll().
    case 'part':
      return
    case 'run':
      return await terminals.run(here(step.body), step.prints.map(here))
    case 'start':
      return await terminals.start(step.terminal, here(step.body), step.stop)
    case 'shows':
      return await terminals.shows(step.terminal, step.lines.map(here))
    case 'type':
      return terminals.type(step.terminal, step.body)
    default:
      throw new Error(`no such step: ${step satisfies never}`)
  }
}

/** All steps of a section. At its end what runs in the terminals is ended, and parts of files are in the files. */
export async function followAll(
  steps: readonly Step[],
  terminals: Terminals,
  here?: (text: string) => string,
): Promise<void> {
  for (const step of steps) await follow(step, terminals, here)
  await terminals.endAll()
  for (const step of steps) {
    if (step.kind !== 'part') continue
    const text = readFileSync(join(terminals.cwd, step.name), 'utf8')
    if (!text.includes(step.body)) throw new Error(`${step.name} does not have these lines:\n${step.body}`)
  }
}
