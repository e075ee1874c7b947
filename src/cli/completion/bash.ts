import type { Completed, ShellFlag, ShellProgram } from './described.ts'

/** A script for bash, from 3.2 on. It is complete in itself: the shell starts nothing when it completes. */
export function bashScript({ name, flags, commands }: ShellProgram): string {
  const valued = [...flags, ...commands.flatMap((command) => command.flags)].filter(
    ({ value }) => value !== undefined,
  )
  const values = [
    ...commands.flatMap((command) => command.flags.map((flag) => ofValue(`${command.name}' '`, flag))),
    ...flags.map((flag) => ofValue("*' '", flag)),
  ]
  return `# Completion of ${name} for bash: eval "$(${name} completion bash)"
_${name}_words() { COMPREPLY=($(compgen -W "$1" -- "$cur")); }
_${name}_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$cur"))
}
_${name}() {
  local cur=\${COMP_WORDS[COMP_CWORD]} flag=\${COMP_WORDS[COMP_CWORD-1]} command= isValue= n
  COMPREPLY=()
  for ((n = 1; n < COMP_CWORD; n++)); do
    if [[ $isValue ]]; then isValue=; [[ \${COMP_WORDS[n]} == = ]] && isValue=1; continue; fi
    case \${COMP_WORDS[n]} in
      ${unique(valued.map((flag) => flag.name)).join('|')}) isValue=1 ;;
      -*) ;;
      *) command=\${command:-\${COMP_WORDS[n]}} ;;
    esac
  done
  # Bash takes --flag=value for three words.
  if [[ $cur == = ]]; then cur=; elif [[ $flag == = ]]; then flag=\${COMP_WORDS[COMP_CWORD-2]}; fi
  case $command' '$flag in
${values.filter((line) => line !== undefined).join('\n')}
  esac
  case $command' '$cur in
${commands.map((command) => `    ${command.name}' '-*) _${name}_words '${words([...command.flags, ...flags])}' ;;`).join('\n')}
    *' '-*) _${name}_words '${words(flags)}' ;;
    ' '*) _${name}_words '${commands.map((command) => command.name).join(' ')}' ;;
${commands.flatMap((command) => ofArgument(name, command.name, command.argument)).join('\n')}
  esac
}
complete -F _${name} ${name}`

  function ofValue(command: string, { name: flag, value }: ShellFlag): string | undefined {
    return value === undefined ? undefined : `    ${command}${flag}) ${action(value)}return ;;`
  }

  function action(value: Completed): string {
    if (value === 'text') return ''
    return value === 'path' ? `_${name}_files; ` : `_${name}_words '${value.join(' ')}'; `
  }
}

function ofArgument(name: string, command: string, argument: Completed): string[] {
  if (argument === 'text') return []
  const action = argument === 'path' ? 'files' : `words '${argument.join(' ')}'`
  return [`    ${command}' '*) _${name}_${action} ;;`]
}

function words(flags: readonly ShellFlag[]): string {
  return flags.map((flag) => flag.name).join(' ')
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)]
}
