import { styleText } from 'node:util'
import { plainJson, plainText } from '../plain-text.ts'
import { asError } from '../thrown.ts'
import { withoutPasswords } from '../without-passwords.ts'

type Style = Parameters<typeof styleText>[0]

/**
 * How often long work tells its progress without a terminal, in milliseconds, and after how long it first
 * does. Work that is done within a second needs no progress.
 */
const PROGRESS_MS = 1_000

export interface OutputInit {
  /** JSON for programs instead of text for people. */
  readonly json: boolean
  /** False: no colours, not even on a terminal. */
  readonly color: boolean
}

/** Takes remarks and errors as lines of a log. */
export interface RemarkLog {
  say(level: 'info' | 'error', text: string): void
}

/** What a command prints: results on standard output, everything else on standard error. */
export class Output {
  #json = false
  #color = false
  #log: RemarkLog | undefined
  #progress = ''
  /** When progress was told last, or held back for the first time. */
  #progressMs: number | undefined

  constructor(looks: OutputInit) {
    this.look(looks)
  }

  /** Whether results are JSON for programs. */
  get json(): boolean {
    return this.#json
  }

  /** From now on it looks so: a file of settings may say what the flags do not. */
  look({ json, color }: OutputInit): void {
    this.#json = json
    this.#color = color
  }

  /** A line for people, on standard output. */
  line(text = ''): void {
    this.#endProgress()
    process.stdout.write(`${text}\n`)
  }

  /** One JSON value on one line of standard output. */
  object(value: unknown): void {
    this.line(asJson(value))
  }

  /** Resolves when standard output takes more: a reader may be slower than what is told. */
  async drained(): Promise<void> {
    const { stdout } = process
    if (!stdout.writableNeedDrain) return
    await new Promise<void>((resolve) => {
      const done = () => {
        for (const event of ['drain', 'close', 'error']) stdout.off(event, done)
        resolve()
      }
      for (const event of ['drain', 'close', 'error']) stdout.once(event, done)
    })
  }

  /** A result: an object for programs, or a line for people. */
  result(value: unknown, text: string): void {
    if (this.json) this.object(value)
    else this.line(text)
  }

  /** From now on remarks and errors for people are lines of a log, unless programs read them. */
  logBy(log: RemarkLog): void {
    this.#log = log
  }

  /** A remark beside the result, on standard error. */
  note(text: string): void {
    if (this.#log !== undefined && !this.json) return this.#log.say('info', plainText(text))
    this.aside(this.json ? asJson({ note: text }) : plainText(text))
  }

  /** A line for people on standard error, whatever programs are told. */
  aside(text: string): void {
    this.#endProgress()
    process.stderr.write(`${text}\n`)
  }

  error(error: unknown): void {
    this.#endProgress()
    const { name, message, stack } = asError(error)
    const sentence = withoutPasswords(message.replaceAll(/\s*\n\s*/g, ' '))
    if (this.#log !== undefined && !this.json) this.#log.say('error', plainText(sentence))
    else if (this.json)
      process.stderr.write(`${asJson({ error: { ...(error as object), name, message: sentence } })}\n`)
    else process.stderr.write(`${this.#style('red', 'anchorage:', process.stderr)} ${plainText(sentence)}\n`)
    if (process.env.ANCHORAGE_DEBUG) process.stderr.write(`${withoutPasswords(stack ?? '')}\n`)
  }

  /**
   * Tell the progress of long work on standard error. On a terminal each line overwrites the one before.
   * Elsewhere there is at most one line a second, and with `--json` none.
   */
  progress(text: string): void {
    if (process.stderr.isTTY) return this.#progressed(text)
    const nowMs = performance.now()
    this.#progressMs ??= nowMs
    if (nowMs - this.#progressMs < PROGRESS_MS) return
    this.#progressMs = nowMs
    this.#progressed(text)
  }

  /** Await work that may be long. Each second, tell what is awaited and how long that has lasted. */
  async waiting<T>(what: string | (() => string), work: Promise<T>): Promise<T> {
    const beganMs = performance.now()
    const timer = setInterval(() => {
      const text = typeof what === 'string' ? what : what()
      this.#progressed(`${text} (${duration(performance.now() - beganMs)})`)
    }, PROGRESS_MS)
    try {
      return await work
    } finally {
      clearInterval(timer)
      this.#endProgress()
    }
  }

  /** Begin an empty screen, on a terminal. */
  clear(): void {
    if (process.stdout.isTTY && !this.json) process.stdout.write('\x1b[H\x1b[2J')
  }

  /** Colours on a terminal, and only there. */
  style(style: Style, text: string): string {
    return this.#style(style, text, process.stdout)
  }

  /** Whether a stream is a terminal that is to have colours. */
  colors(stream: NodeJS.WriteStream): boolean {
    return this.#style('red', '.', stream) !== '.'
  }

  #style(style: Style, text: string, stream: NodeJS.WriteStream): string {
    return this.#color ? styleText(style, text, { stream }) : text
  }

  #progressed(told: string): void {
    const text = plainText(told)
    if (!process.stderr.isTTY) {
      if (!this.json) process.stderr.write(`${text.trimStart()}\n`)
      return
    }
    process.stderr.write(`\r${text.padEnd(this.#progress.length)}`)
    this.#progress = text
  }

  #endProgress(): void {
    if (this.#progress === '') return
    process.stderr.write(`\r${' '.repeat(this.#progress.length)}\r`)
    this.#progress = ''
  }
}

/** One line of JSON. */
function asJson(value: unknown): string {
  return plainJson(JSON.stringify(value, plain))
}

/** For JSON: bytes as hex, errors as their name and message, maps as objects. */
function plain(this: unknown, key: string, value: unknown): unknown {
  // A Buffer has made an object of itself by now.
  const given = (this as Readonly<Record<string, unknown>>)[key]
  if (given instanceof Uint8Array) return Buffer.from(given).toString('hex')
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Error) return { name: value.name, message: value.message }
  return value
}

/** 12345.6 as "12,346". */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en')
}

/** A number with its noun: "1 replica", "3 replicas". */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** Milliseconds as "950 ms" or "7.3 s". */
export function duration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`
}

/** Bytes as "25.3 MB". */
export function size(bytes: number): string {
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

/** The end of a PeerId, which is where they differ. */
export function shortId(id: string): string {
  return plainText(`…${id.slice(-8)}`)
}

/** The beginning of a root, in hexadecimal: enough to see whether two are the same. */
export function shortRoot(root: Uint8Array): string {
  return Buffer.from(root).toString('hex').slice(0, 16)
}
