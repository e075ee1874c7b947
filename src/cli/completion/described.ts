import type { Argument, Command } from 'commander'
import { summaryOf } from '../program/help.ts'
import { optionsOf, type Setting } from '../settings/setting.ts'

/** What may stand in a place: a path, any text, or one of these words. */
export type Completed = 'path' | 'text' | readonly string[]

/** A flag, for a shell. */
export interface ShellFlag {
  /** With its dashes. */
  readonly name: string
  readonly about: string
  /** Undefined: it takes no value. */
  readonly value: Completed | undefined
}

/** A command, for a shell. */
export interface ShellCommand {
  readonly name: string
  readonly about: string
  /** Its own. */
  readonly flags: readonly ShellFlag[]
  /** What its arguments are. */
  readonly argument: Completed
}

/** The program, for a shell. */
export interface ShellProgram {
  readonly name: string
  /** Of all commands. */
  readonly flags: readonly ShellFlag[]
  readonly commands: readonly ShellCommand[]
}

/** The argument of these is the name of a command. */
const ABOUT_COMMANDS = ['config', 'help']
const FILE = /^(file|files|checkpoint|directory|module)$/

/** What a shell completes, from the description of the program. */
export function shellProgram(program: Command): ShellProgram {
  const visible = program.createHelp().visibleCommands(program)
  const names = visible.map((command) => command.name())
  const flagsOf = (command: Command) =>
    optionsOf(program)
      .filter((each) => each.command === command)
      .map(flag)
  return {
    name: program.name(),
    flags: [...flagsOf(program), { name: '--help', about: 'print the help', value: undefined }],
    commands: visible.map((command) => ({
      name: command.name(),
      about: summaryOf(command),
      flags: flagsOf(command),
      argument: ABOUT_COMMANDS.includes(command.name()) ? names : argument(command.registeredArguments[0]),
    })),
  }
}

function flag(setting: Setting): ShellFlag {
  const about = setting.option.description.split(/[;:]/)[0]!
  const { choices } = setting
  if (setting.isSwitch) return { name: setting.flag, about, value: undefined }
  return { name: setting.flag, about, value: choices ?? (setting.isPlace ? 'path' : 'text') }
}

function argument(first: Argument | undefined): Completed {
  return first?.argChoices ?? (FILE.test(first?.name() ?? '') ? 'path' : 'text')
}
