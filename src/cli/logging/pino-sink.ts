import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import type { LogLevel, LogLine, LogSink } from '../../logging/line.ts'

/** A level of the command line: lines below it are not written. */
export type Level = LogLevel | 'silent'

export interface PinoSinkInit {
  readonly level: Level
  /** Takes each line as JSON, with its end. */
  readonly destination: DestinationStream
}

/** Writes lines with pino. */
export class PinoSink implements LogSink {
  readonly #log: Logger

  /** @param log of `pino`: see `PinoSink.to` */
  constructor(log: Logger) {
    this.#log = log
  }

  static to({ level, destination }: PinoSinkInit): PinoSink {
    const options = {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
      // Errors come as lines tell them.
      serializers: { err: (err: unknown) => err },
    }
    return new PinoSink(pino(options, destination))
  }

  /** A sink whose lines have these fields first. */
  with(fields: Readonly<Record<string, string>>): PinoSink {
    return new PinoSink(this.#log.child(fields))
  }

  get enabled(): boolean {
    return this.#log.level !== 'silent'
  }

  shows({ level }: Pick<LogLine, 'level'>): boolean {
    return this.#log.isLevelEnabled(level)
  }

  /** A line of the command itself. */
  say(level: LogLevel, text: string): void {
    this.#log[level](text)
  }

  write({ level, component, text, fields }: LogLine): void {
    this.#log[level]({ component, ...fields }, text)
  }
}
