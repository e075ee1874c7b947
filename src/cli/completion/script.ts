import type { Command } from 'commander'
import { bashScript } from './bash.ts'
import { shellProgram } from './described.ts'
import { fishScript } from './fish.ts'
import { zshScript } from './zsh.ts'

export type Shell = keyof typeof SCRIPTS

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript }

/** The script with which a shell completes the command line. */
export function completionScript(shell: Shell, program: Command): string {
  return SCRIPTS[shell](shellProgram(program))
}
