import { type FileHandle, open } from 'node:fs/promises'
import { addAbortSignal, type Readable } from 'node:stream'
import { InputUnreadable } from './errors.ts'

/** Bytes of one read. */
const READ_BYTES = 256 * 1024
/** The longest line, in bytes: an entry of the largest size fits, also with every character escaped. */
const LINE_BYTES_MAX = 128 * 1024 * 1024
const NEWLINE = 10

/** A file of lines, or standard input. */
export class Input implements AsyncDisposable {
  /** The file's size. Undefined for a pipe, which has none. */
  readonly bytes: number | undefined
  bytesRead = 0
  readonly #name: string
  readonly #stream: Readable
  readonly #handle: FileHandle | undefined

  /** `-` is standard input. Throws `InputUnreadable`. */
  static async open(name: string): Promise<Input> {
    if (name === '-') return new Input('standard input', process.stdin)
    try {
      const handle = await open(name)
      const stats = await handle.stat()
      const stream = handle.createReadStream({ highWaterMark: READ_BYTES, autoClose: false })
      return new Input(name, stream, handle, stats.isFile() ? stats.size : undefined)
    } catch (error) {
      throw unreadable(name, error)
    }
  }

  private constructor(name: string, stream: Readable, handle?: FileHandle, bytes?: number) {
    this.#name = name
    this.#stream = stream
    this.#handle = handle
    this.bytes = bytes
  }

  /** The lines, in batches of one read each. Ends early, without an error, when the signal aborts. */
  async *lines(signal: AbortSignal): AsyncGenerator<readonly Buffer[], undefined> {
    addAbortSignal(signal, this.#stream)
    let begun: Buffer[] = []
    let begunBytes = 0
    try {
      for await (const chunk of this.#stream as AsyncIterable<Buffer>) {
        this.bytesRead += chunk.length
        const lines: Buffer[] = []
        let start = 0
        for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
          const piece = chunk.subarray(start, end)
          lines.push(begun.length > 0 ? Buffer.concat([...begun, piece]) : piece)
          if (begun.length > 0) [begun, begunBytes] = [[], 0]
          start = end + 1
        }
        const rest = chunk.subarray(start)
        if (rest.length > 0) begun.push(rest)
        begunBytes += rest.length
        if (begunBytes > LINE_BYTES_MAX)
          throw new Error(`a line is longer than ${LINE_BYTES_MAX} bytes; is this a JSON Lines file?`)
        yield lines
      }
    } catch (error) {
      if (signal.aborted) return
      throw unreadable(this.#name, error)
    }
    if (begun.length > 0) yield [Buffer.concat(begun)]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream.destroy()
    await this.#handle?.close()
  }
}

/** The system's error about a file, for people. */
export function unreadable(name: string, error: unknown): InputUnreadable {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return new InputUnreadable(`there is no file ${name}`, { cause: error })
  return new InputUnreadable(`${name} cannot be read: ${message}`, { cause: error })
}
