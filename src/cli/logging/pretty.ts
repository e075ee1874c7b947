import { prettyFactory } from 'pino-pretty'
import { inWords } from '../../logging/in-words.ts'
import type { LogFields } from '../../logging/line.ts'

/** Fields that are told otherwise, or are the same in every line of a process. */
const APART: ReadonlySet<string> = new Set(['level', 'time', 'msg', 'component', 'group', 'replica'])

/** Makes of each line of a log, as JSON, a line for people: the time, the level, the words, and what else it has. */
export function prettyLines({ color }: { readonly color: boolean }): (json: string) => string {
  return prettyFactory({
    colorize: color,
    translateTime: 'SYS:HH:MM:ss.l',
    // The words have the fields, errors among them, so that a line is one line.
    hideObject: true,
    errorLikeObjectKeys: [],
    messageFormat: ({ msg, component, ...record }) => {
      const fields = Object.entries(record).filter(([name]) => !APART.has(name))
      const text = component === undefined ? String(msg) : `${component}: ${msg}`
      return inWords(text, Object.fromEntries(fields) as LogFields)
    },
  })
}
