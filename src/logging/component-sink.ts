import type { ComponentLogger, Logger } from '@libp2p/interface'
import { inWords } from './in-words.ts'
import { LOG_COMPONENTS, type LogComponent, type LogLevel, type LogLine, type LogSink } from './line.ts'

/**
 * Writes lines to loggers of js-libp2p, `anchorage:replica` and so on, each with its fields as `name=value`. What
 * goes wrong goes to their `error`, as libp2p's own does.
 */
export class ComponentSink implements LogSink {
  /** It is found out once: to ask each logger would cost more than all else, with every chunk. */
  readonly enabled: boolean
  readonly #loggers: ReadonlyMap<LogComponent, Logger>
  readonly #fields: Readonly<Record<string, string>>

  /** @param fields of every line, after its own */
  constructor(logger: ComponentLogger, fields: Readonly<Record<string, string>>) {
    this.#loggers = new Map(LOG_COMPONENTS.map((name) => [name, logger.forComponent(`anchorage:${name}`)]))
    this.#fields = fields
    this.enabled = [...this.#loggers.values()].some(
      (log) => isOn(log) || isOn(log, log.error) || isOn(log, log.trace),
    )
  }

  shows({ component, level }: Pick<LogLine, 'component' | 'level'>): boolean {
    const log = this.#loggers.get(component)!
    return isOn(log, writerOf(log, level))
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

/** Whether a writer of a logger writes. That of another make may not tell: it is on as the logger is. */
function isOn(log: Logger, writer: Writer = log): boolean {
  // js-libp2p's own tells undefined as long as nothing was ever enabled.
  return Boolean('enabled' in writer ? writer.enabled : log.enabled)
}
