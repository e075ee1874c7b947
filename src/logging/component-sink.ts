import type { ComponentLogger, Logger } from '@libp2p/interface'
import { inWords } from './in-words.ts'
import { LOG_COMPONENTS, type LogComponent, type LogLevel, type LogLine, type LogSink } from './line.ts'

/**
 * Writes lines to loggers of js-libp2p, `anchorage:replica` and so on, each with its fields as `name=value`. What
 * goes wrong goes to their `error`, as libp2p's own does.
 */
export class ComponentSink implements LogSink {
  readonly #loggers: ReadonlyMap<LogComponent, Logger>
  readonly #fields: Readonly<Record<string, string>>

  /** @param fields of every line, after its own */
  constructor(logger: ComponentLogger, fields: Readonly<Record<string, string>>) {
    this.#loggers = new Map(LOG_COMPONENTS.map((name) => [name, logger.forComponent(`anchorage:${name}`)]))
    this.#fields = fields
  }

  get enabled(): boolean {
    for (const log of this.#loggers.values()) if (isOn(log) || isOn(log.error) || isOn(log.trace)) return true
    return false
  }

  shows({ component, level }: Pick<LogLine, 'component' | 'level'>): boolean {
    return isOn(writerOf(this.#loggers.get(component)!, level))
  }

  write({ level, component, text, fields }: LogLine): void {
    // A % in what others wrote is no place for another argument.
    writerOf(this.#loggers.get(component)!, level)('%s', inWords(text, { ...fields, ...this.#fields }))
  }
}

type Writer = (formatter: string, ...args: unknown[]) => void

function writerOf(log: Logger, level: LogLevel): Writer {
  if (level === 'trace') return log.trace
  return level === 'warn' || level === 'error' ? log.error : log
}

/** A logger of another make may not tell whether its `error` is on. */
function isOn(writer: Writer & { readonly enabled?: boolean }): boolean {
  return writer.enabled !== false
}
