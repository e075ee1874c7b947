import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, type Option } from 'commander'
import { placeName } from '../../log/log-place.ts'
import { withoutPasswords } from '../../without-passwords.ts'
import { type ParserOfFew, several } from '../program/arguments.ts'

/**
 * Flags that can be given on the command line only: what asks for something else than the command does, what confirms
 * one call of it, and what names one call. In an environment or a file they would hold for calls that nobody meant.
 */
const OF_ONE_CALL = [
  ...['version', 'config', 'force', 'new-log', 'submit.key'],
  ...['network-key.rotate', 'network-key.retire', 'network-key.show'],
]

/** Commands that take all options of another one, and their values from its settings: who and whose. */
export const BORROWERS: Readonly<Record<string, string>> = { doctor: 'node' }

/** A name or a placeholder with such a word in it is of a value that is never printed. */
const SECRET = /\b(token|password|secret)\b/
const HIDDEN = '(not shown)'
/** The placeholder of a value that is a path, such as `<file>` in `--creds <file>`. */
const PATH = /^(file|directory|module)$/
/** The placeholder of a path, or the URLs of servers. */
const PLACE = 'place'
/** As a URL begins. Without its slashes it names no file either: the command says what is wrong with it. */
const URL_BEGINS = /^\w+:/

/** A flag of the program or of one of its commands, as something that the environment and a file can set too. */
export class Setting {
  readonly option: Option
  /** Whose option it is. */
  readonly command: Command
  /** The command's section of a file; undefined for an option of all commands. */
  readonly section: string | undefined
  /** In its section: the flag without its dashes, and without the `no` of `--no-color`. */
  readonly key: string

  constructor(command: Command, option: Option) {
    this.option = option
    this.command = command
    this.section = command.parent === null ? undefined : command.name()
    this.key = option.negate ? option.name().replace(/^no-/, '') : option.name()
  }

  /** For people: `group`, or `node.keep`. */
  get name(): string {
    return this.section === undefined ? this.key : `${this.section}.${this.key}`
  }

  /** `ANCHORAGE_GROUP`, or `ANCHORAGE_NODE_KEEP`. */
  get variable(): string {
    return `ANCHORAGE_${this.name.replaceAll(/[.-]/g, '_').toUpperCase()}`
  }

  get flag(): string {
    return this.option.long ?? this.option.short!
  }

  get isOfOneCall(): boolean {
    return [this.option.name(), this.name].some((name) => OF_ONE_CALL.includes(name))
  }

  /** The flag takes no value: it is there or not. */
  get isSwitch(): boolean {
    return !this.option.required && !this.option.optional
  }

  /** The flag takes several values. */
  get isList(): boolean {
    return this.option.variadic || this.option.parseArg === several
  }

  /** Undefined if the program decides, when it runs. */
  get defaultValue(): unknown {
    return this.isSwitch ? this.option.negate : this.option.defaultValue
  }

  /** As it would be written. */
  get defaultTexts(): string[] {
    return this.defaultValue === undefined ? [] : [this.defaultValue].flat().map(String)
  }

  get isSecret(): boolean {
    return SECRET.test(this.key) || SECRET.test(this.placeholder)
  }

  /** Whether commander was told that the flag does not go together with the other. */
  isApartFrom({ option }: Setting): boolean {
    // Its types leave the field out.
    const { conflictsWith } = this.option as Option & { readonly conflictsWith: readonly string[] }
    return conflictsWith.includes(option.attributeName())
  }

  /** What stands for the value in the flag's help; empty for a switch. */
  get placeholder(): string {
    return /[<[](.+?)(\.\.\.)?[>\]]/.exec(this.option.flags)?.[1] ?? ''
  }

  /** All values that it takes, if these are a few. */
  get choices(): readonly string[] | undefined {
    return (
      this.option.argChoices ?? (this.option.parseArg as Partial<ParserOfFew<unknown>> | undefined)?.choices
    )
  }

  get isPath(): boolean {
    return PATH.test(this.placeholder)
  }

  /** Whether the value may be a path. */
  get isPlace(): boolean {
    return this.isPath || this.placeholder === PLACE
  }

  /** As it may be printed: without passwords and tokens. */
  shown(text: string): string {
    if (this.isSecret) return HIDDEN
    if (this.placeholder !== PLACE) return text
    try {
      return withoutPasswords(placeName(text))
    } catch {
      // What cannot be taken apart may hold a password anywhere.
      return HIDDEN
    }
  }

  /** A value that stands in a file of a directory: if it is a relative path, it is one from there. */
  from(directory: string, text: string): string {
    const isLocated = text === '' || (!this.isPath && (this.placeholder !== PLACE || URL_BEGINS.test(text)))
    return isLocated ? text : resolve(directory, text)
  }

  /** What the flag would give for these texts. Throws `InvalidArgumentError` that tells what is allowed. */
  parse(texts: readonly string[]): unknown {
    const [text = '', ...others] = texts
    if (this.isSwitch) return switched(text, others)
    if (!this.isList && others.length > 0) throw new InvalidArgumentError('Give one value, not a list')
    if (texts.length === 0 || texts.includes('')) throw new InvalidArgumentError('it is empty: give a value')
    // Commander's own parser of choices looks for what was collected in the option.
    const parse = this.option.parseArg?.bind(this.option)
    if (parse === undefined) return this.isList ? [...texts] : text
    return texts.reduce<unknown>((before, each) => parse(each, before), undefined)
  }
}

function switched(text: string, others: readonly string[]): boolean {
  if (others.length > 0 || !/^(true|false)$/.test(text)) throw new InvalidArgumentError('Give true or false')
  return text === 'true'
}

/** Whatever can be set: the options of the program, then those of each command, in the order of the help. */
export function settingsOf(program: Command): Setting[] {
  return optionsOf(program).filter((setting) => !setting.isOfOneCall)
}

/** With those that are flags only. */
export function optionsOf(program: Command): Setting[] {
  const lenders = program.commands.filter((command) => !Object.hasOwn(BORROWERS, command.name()))
  return [program, ...lenders].flatMap((command) =>
    command.options.map((option) => new Setting(command, option)),
  )
}
