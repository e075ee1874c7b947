import { Argument, type Command } from 'commander'
import type { Shell } from '../completion/script.ts'
import { EXIT } from '../context.ts'
import { examples } from './arguments.ts'
import type { Choose } from './choose.ts'

const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish']

export function describeCompletion(program: Command, choose: Choose): void {
  program
    .command('completion')
    .summary('print a script that completes commands and flags')
    .description('print a script with which a shell completes commands, flags, their values and files')
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        'eval "$(anchorage completion bash)"              in ~/.bashrc',
        'eval "$(anchorage completion zsh)"               in ~/.zshrc, after compinit',
        'anchorage completion fish | source               in config.fish',
      ),
    )
    .action((shell: Shell) =>
      choose(async ({ output }) => {
        const { completionScript } = await import('../completion/script.ts')
        output.line(completionScript(shell, program))
        return EXIT.ok
      }),
    )
}
