import type { Command } from 'commander'
import { EXIT } from '../context.ts'
import type { Output } from '../output.ts'
import type { Configuration, InForce } from '../settings/configuration.ts'
import { originName } from '../settings/given.ts'
import type { Setting } from '../settings/setting.ts'
import { printTable } from '../table.ts'

/** Print what is in force of the options of all commands and of one, and where it comes from. */
export function printConfig(
  output: Output,
  configuration: Configuration,
  command: Command | undefined,
): number {
  const inForce = configuration.inForce(command)
  if (output.json) {
    output.object(inForce.map(told))
    return EXIT.ok
  }
  if (configuration.file !== undefined) output.aside(`the file of settings is ${configuration.file}`)
  const rows = inForce.map((each) => [
    each.setting.name,
    textsOf(each).join(', ') || '–',
    each.given === undefined ? 'default' : originName(each.given.origin),
  ])
  printTable(output, ['SETTING', 'VALUE', 'FROM'], rows)
  return EXIT.ok
}

/** For programs. */
function told({ setting, given }: InForce): object {
  const texts = textsOf({ setting, given })
  return {
    setting: setting.name,
    variable: setting.variable,
    value: typed(setting, given === undefined ? setting.defaultValue : given.value, texts),
    from: given?.origin ?? 'default',
  }
}

/** A value that JSON has no kind for is told as it was written. */
function typed(setting: Setting, value: unknown, texts: readonly string[]): unknown {
  if (value === undefined) return null
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return value
  return setting.isList ? texts : texts[0]
}

function textsOf({ setting, given }: InForce): string[] {
  const texts = given?.texts ?? setting.defaultTexts
  return texts.map((text) => setting.shown(text))
}
