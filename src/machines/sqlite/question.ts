import { constants } from 'node:sqlite'
import { ANSWER_BYTES_MAX } from '../../bounds.ts'
import { MalformedQuestion } from '../../machine/machine.ts'
import { asError } from '../../thrown.ts'
import type { SqlRow } from './command-db.ts'
import { type ConnectionOptions, openToRead } from './connections.ts'
import { OWN_TABLE } from './schema.ts'

/**
 * What a question may do. Whoever asks may be another process: it can read the tables, and neither attach other
 * files nor recurse without an end.
 */
const ALLOWED: ReadonlySet<number> = new Set([
  constants.SQLITE_SELECT,
  constants.SQLITE_READ,
  constants.SQLITE_FUNCTION,
])
const HOW = 'a question is one SELECT, without WITH RECURSIVE'

/**
 * The rows of one SELECT on the newest commit, each as JSON on a line; bytes are in hexadecimal. Undefined: there are
 * none. Throws `MalformedQuestion` for any other statement, and for more rows than an answer holds.
 */
export function rowsOf(
  path: string,
  options: ConnectionOptions,
  question: Uint8Array,
): Uint8Array | undefined {
  const db = openToRead(path, options)
  try {
    db.setAuthorizer((code, table) =>
      ALLOWED.has(code) && table !== OWN_TABLE ? constants.SQLITE_OK : constants.SQLITE_DENY,
    )
    const rows = db.prepare(Buffer.from(question).toString()).iterate() as Iterable<SqlRow>
    const lines: Buffer[] = []
    let bytes = 0
    for (const row of rows) {
      const line = Buffer.from(`${JSON.stringify(row, plain)}\n`)
      bytes += line.length
      if (bytes > ANSWER_BYTES_MAX)
        throw new MalformedQuestion(`the rows take more than ${ANSWER_BYTES_MAX} bytes: ask for fewer`)
      lines.push(line)
    }
    // The last line ends without a newline, as other answers do.
    return lines.length === 0 ? undefined : Buffer.concat(lines, bytes - 1)
  } catch (error) {
    if (error instanceof MalformedQuestion) throw error
    throw new MalformedQuestion(`${HOW}: ${asError(error).message}`, { cause: error })
  } finally {
    db.close()
  }
}

/** Integers beyond what JSON numbers keep become text. */
function plain(_name: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex')
  if (typeof value !== 'bigint') return value
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : String(value)
}
