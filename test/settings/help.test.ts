import { expect, test } from 'vitest'
import { wrapped } from '../../src/cli/program/help.ts'
import { DescribedProgram } from './program.ts'

const WIDE = 80

/** As on a terminal of 80 columns. Commander asks the terminal of whoever runs the test otherwise. */
function helpOf(name?: string): string {
  const { program } = new DescribedProgram()
  const command = name === undefined ? program : program.commands.find((each) => each.name() === name)!
  command.configureOutput({ getOutHelpWidth: () => WIDE })
  return command.helpInformation()
}

test('the help of the program has its commands in groups, each in a line', () => {
  const help = helpOf()
  const { program } = new DescribedProgram()
  const names = program.commands.map((command) => command.name()).filter((name) => name !== 'global')
  for (const name of [...names, 'help']) expect(help, name).toMatch(new RegExp(`^  ${name}\\b.*  \\S`, 'm'))
  for (const group of [
    'Run a replica',
    'Write and read',
    'Look after the group',
    'Files',
    'Settings and help',
  ])
    expect(help).toContain(`\n${group}:\n`)
  expect(help).not.toContain('\nCommands:')
  // No command's line goes on in the next one.
  expect(help).not.toMatch(/^ {8,}/m)
  expect(help).not.toContain('--network-key <')
  expect(help).toContain('anchorage help global')
})

test('the help of a command has its own options, and where the others are', () => {
  const help = helpOf('node')
  expect(help).toContain('--keep <entries>')
  expect(help).not.toContain('--network-key')
  expect(help.trimEnd()).toMatch(
    /\nOptions of all commands, such as --log and --group: anchorage help global$/,
  )
  const global = helpOf('global')
  for (const flag of ['--network-key <file>', '--log <place>', '--no-color', '--version', '--help'])
    expect(global).toContain(flag)
  expect(global).not.toContain('anchorage help global')
})

test('all of it is readable at 80 columns, but for commands to copy', () => {
  const { program } = new DescribedProgram()
  let help = ''
  for (const command of [program, ...program.commands]) {
    command.configureOutput({
      getOutHelpWidth: () => WIDE,
      writeOut: (text) => (help += wrapped(text, WIDE)),
    })
    command.outputHelp()
  }
  expect(help).toContain('Exit codes: ')
  const lines = help.split('\n').filter((line) => !line.startsWith('  $ '))
  expect(lines.filter((line) => line.length > WIDE)).toEqual([])
})

test('a long line of prose is broken, and no other', () => {
  const prose = 'word '.repeat(30).trim()
  expect(wrapped(`${prose}\n  $ ${prose}`, 40).split('\n')).toEqual([
    ...Array.from({ length: 3 }, () => 'word '.repeat(8).trim()),
    'word '.repeat(6).trim(),
    `  $ ${prose}`,
  ])
})
