import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Told by NODE_OPTIONS, which processes inherit, Node writes the warnings of a process and its threads into a file, and a report
 * of each exception that nobody caught into a directory. The processes that run test files share a file for their warnings,
 * and what each of them starts has a directory of its own for both.
 */

/** Names the directory to the processes that run test files. */
const DIRECTORY_VARIABLE = 'ANCHORAGE_TEST_FAULTS_DIRECTORY'
const WARNINGS = 'warnings.txt'
const REPORT = /^report\..+\.json$/
/** Each warning begins so, with the id of its process. Further lines are its stack. */
const BEGINNING = /^\(node:(\d+)\) /

/** What of a report is of interest. */
interface Report {
  readonly header: { readonly processId: number; readonly commandLine: readonly string[] }
  readonly javascriptStack: { readonly message: string; readonly stack: readonly string[] }
}

/** The environment of the processes that run test files. What they wrote is gone when this process ends. */
export function faultsEnv(): Record<string, string> {
  const directory = mkdtempSync(join(tmpdir(), 'anchorage-faults-'))
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }))
  return { [DIRECTORY_VARIABLE]: directory, NODE_OPTIONS: warnInto(join(directory, WARNINGS)) }
}

/**
 * The warnings of this process and its threads, and the warnings and uncaught exceptions of each process that it starts from
 * now on. A rejection that nobody handles is such an exception.
 */
export class ProcessFaults {
  readonly #own: string
  readonly #started: string
  readonly #allowed: RegExp[] = []

  constructor() {
    const directory = process.env[DIRECTORY_VARIABLE]
    if (directory === undefined) throw new Error(`${DIRECTORY_VARIABLE} is not set: see vitest.config.ts`)
    this.#own = join(directory, WARNINGS)
    this.#started = join(directory, `started-by-${process.pid}`)
    mkdirSync(this.#started, { recursive: true })
    const reports = `--report-uncaught-exception --report-directory=${JSON.stringify(this.#started)}`
    process.env.NODE_OPTIONS = [
      warnInto(join(this.#started, WARNINGS)),
      `${reports} --report-compact --report-exclude-network`,
      // By default a process that listens to rejections could swallow them.
      '--unhandled-rejections=strict',
    ].join(' ')
  }

  /** Node keeps the file open to which it writes warnings. */
  writesTo(file: string): boolean {
    return file === this.#own || file.startsWith(this.#started)
  }

  allow(pattern: RegExp): void {
    this.#allowed.push(pattern)
  }

  /** All that are not allowed, each with its stack. */
  read(): string[] {
    const own = warningsIn(this.#own).filter((warning) => BEGINNING.exec(warning)?.[1] === `${process.pid}`)
    const started = [...warningsIn(join(this.#started, WARNINGS)), ...exceptionsIn(this.#started)]
    return [...own, ...started].filter((fault) => !this.#allowed.some((pattern) => pattern.test(fault)))
  }
}

function warnInto(file: string): string {
  return `--trace-warnings --redirect-warnings=${JSON.stringify(file)}`
}

function warningsIn(file: string): string[] {
  const warnings: string[] = []
  for (const line of linesOf(file)) {
    if (BEGINNING.test(line)) warnings.push(line)
    else if (line !== '') warnings.push(`${warnings.pop() ?? ''}\n${line}`)
  }
  return warnings
}

function exceptionsIn(directory: string): string[] {
  const names = readdirSync(directory).filter((name) => REPORT.test(name))
  return names.map((name) => {
    const report: Report = JSON.parse(readFileSync(join(directory, name), 'utf8'))
    const { commandLine, processId } = report.header
    const { message, stack } = report.javascriptStack
    const frames = stack.map((frame) => `\n    ${frame}`).join('')
    return `process ${processId} (${commandLine.join(' ')}) was ended by ${message}${frames}`
  })
}

function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split('\n')
  } catch (error) {
    // Nobody warned of anything.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
