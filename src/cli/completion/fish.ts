import type { Completed, ShellFlag, ShellProgram } from './described.ts'

/** A script for fish: to source, or as a file in its directory of completions. */
export function fishScript({ name, flags, commands }: ShellProgram): string {
  const complete = (...words: string[]) => ['complete', '-c', name, ...words].join(' ')
  const ofFlag = ({ name: flag, about, value }: ShellFlag, when: readonly string[]) =>
    complete(...when, '-l', flag.replace(/^--/, ''), '-d', quoted(about), ...taking(value))
  // __fish_use_subcommand takes the value of a flag for the command.
  const first = [
    '-n',
    quoted(`not __fish_seen_subcommand_from ${commands.map((each) => each.name).join(' ')}`),
  ]
  return [
    `# Completion of ${name} for fish: ${name} completion fish | source`,
    complete('-f'),
    ...flags.map((flag) => ofFlag(flag, [])),
    ...commands.flatMap((command) => {
      const when = ['-n', quoted(`__fish_seen_subcommand_from ${command.name}`)]
      return [
        complete(...first, '-a', command.name, '-d', quoted(command.about)),
        ...command.flags.map((flag) => ofFlag(flag, when)),
        ...(command.argument === 'text' ? [] : [complete(...when, ...taking(command.argument).slice(1))]),
      ]
    }),
  ].join('\n')
}

/** -r: a value follows; -F: a file; -x: a value that is no file. */
function taking(value: Completed | undefined): string[] {
  if (value === undefined) return []
  if (value === 'path') return ['-r', '-F']
  return value === 'text' ? ['-x'] : ['-x', '-a', quoted(value.join(' '))]
}

function quoted(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`
}
