import type { Completed, ShellFlag, ShellProgram } from './described.ts'

/** A script for zsh: for `eval`, or as the file `_anchorage` in a directory of `fpath`. */
export function zshScript({ name, flags, commands }: ShellProgram): string {
  const shared = flags.map(ofFlag)
  const cases = commands.map((command) => {
    const specs = [...command.flags.map(ofFlag), ...shared, quoted(`*:argument:${action(command.argument)}`)]
    return `        ${command.name}) _arguments ${specs.join(' ')} ;;`
  })
  return `#compdef ${name}
# Completion of ${name} for zsh: eval "$(${name} completion zsh)", after compinit
_${name}() {
  local state line
  local -a commands
  commands=(${commands.map(({ name, about }) => quoted(`${name}:${about.replaceAll(':', '\\:')}`)).join(' ')})
  _arguments -C ${shared.join(' ')} '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $words[1] in
${cases.join('\n')}
      esac ;;
  esac
}
if [[ $funcstack[1] == _${name} ]]; then _${name} "$@"; else compdef _${name} ${name}; fi`
}

function ofFlag({ name, about, value }: ShellFlag): string {
  const told = `[${about.replaceAll(/[\][:\\]/g, '\\$&')}]`
  return quoted(value === undefined ? `*${name}${told}` : `*${name}=${told}:value:${action(value)}`)
}

function action(value: Completed): string {
  if (value === 'text') return ' '
  return value === 'path' ? '_files' : `(${value.join(' ')})`
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
