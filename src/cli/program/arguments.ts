/** Parsers for arguments. Each throws an error that commander shows to people. */

import { InvalidArgumentError } from 'commander'
import { checkText, GROUP_BYTES_MAX } from '../../bounds.ts'
import { asError } from '../../thrown.ts'

const PORT_MAX = 65_535

export function groupName(text: string): string {
  try {
    checkText('group', text, GROUP_BYTES_MAX)
    return text
  } catch (error) {
    throw new InvalidArgumentError(asError(error).message)
  }
}

export function integer(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    const range = max === Number.MAX_SAFE_INTEGER ? `${min} on` : `${min} to ${max}`
    throw new InvalidArgumentError(`Give an integer from ${range}`)
  }
}

/** A parser that takes a few values only, which a shell can complete. */
export interface ParserOfFew<T> {
  (text: string): T
  readonly choices: readonly string[]
}

export function oneOf<T extends number>(values: readonly T[]): ParserOfFew<T> {
  const parse = (text: string) => {
    const value = values.find((value) => String(value) === text)
    if (value === undefined) throw new InvalidArgumentError(`Give one of ${values.join(', ')}`)
    return value
  }
  return Object.assign(parse, { choices: values.map(String) })
}

/** Where to answer over HTTP. Without a host it is this machine alone. */
export interface HttpAddress {
  readonly host: string
  readonly port: number
}

/** `9464`, `:9464`, `127.0.0.1:9464`, `metrics.local:9464` or `[::1]:9464`; port 0 is any free one. */
export function httpAddress(text: string): HttpAddress {
  const [, ipv6, name, digits] = /^(?:(?:\[([\da-fA-F:.]+)\]|([\w.-]*)):)?(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port > PORT_MAX)
    throw new InvalidArgumentError(
      'Give a port, or an address and a port, as 9464 or 0.0.0.0:9464 or [::1]:9464',
    )
  return { host: ipv6 || name || '127.0.0.1', port }
}

/** Collects the values of an option that may be given several times. */
export function several(text: string, before: readonly string[] = []): string[] {
  return [...before, text]
}

export function path(text: string): string {
  if (text === '') throw new InvalidArgumentError('Give a path')
  return text
}

/** For the end of a command's help. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  $ ${line}\n`).join('')}`
}

/** What `--machine` takes. */
export const MACHINE = 'a module whose default export is the machine, a class or a factory; default: the map'
