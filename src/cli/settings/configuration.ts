import type { Command } from 'commander'
import { SettingInvalid } from '../errors.ts'
import { Environment } from './environment.ts'
import { type Given, originName, placeIn, strength } from './given.ts'
import { BORROWERS, type Setting, settingsOf } from './setting.ts'

/** Where an option's value comes from, in commander's words, from the weakest. */
const SOURCES = [undefined, 'default', 'config', 'env', 'cli']

/** A setting, with what is given for it. Undefined: its default. */
export interface InForce {
  readonly setting: Setting
  readonly given: Given | undefined
}

/**
 * What the flags, the environment and a file say of the options of a program. A flag goes before the environment, that
 * before the file, and the file before the default.
 *
 * It must be made before the program parses its arguments: it listens for the flags.
 */
export class Configuration {
  readonly #program: Command
  readonly #environment: Environment
  readonly #settings: readonly Setting[]
  readonly #flags = new Map<Setting, string[]>()
  #file: readonly Given[] = []

  constructor(program: Command, env: NodeJS.ProcessEnv) {
    this.#program = program
    this.#environment = new Environment(env)
    this.#settings = settingsOf(program)
    for (const setting of this.#settings) {
      setting.command.on(`option:${setting.option.name()}`, (text?: string) => {
        const texts = text === undefined ? [String(!setting.option.negate)] : [text]
        const before = setting.isList ? (this.#flags.get(setting) ?? []) : []
        this.#flags.set(setting, [...before, ...texts])
      })
    }
  }

  get settings(): readonly Setting[] {
    return this.#settings
  }

  /**
   * Read the file, if there is one, and give the options of a command, and those of all, their values. Rejects with
   * `SettingInvalid`.
   */
  async apply(command: Command): Promise<void> {
    await this.load()
    const lender = lenderOf(command, this.#program)
    for (const { setting, value, origin } of this.given(lender)) {
      if ('flag' in origin) continue
      const target = setting.command === lender ? command : setting.command
      if (target.getOptionValueSource(setting.option.attributeName()) === 'cli') continue
      // A switch that is off is one that is not there.
      const applied = setting.isSwitch && !setting.option.negate ? value || undefined : value
      const source = 'variable' in origin ? 'env' : 'config'
      target.setOptionValueWithSource(setting.option.attributeName(), applied, source)
    }
  }

  /** The path of the file. Throws `SettingInvalid` for a variable that is empty. */
  get file(): string | undefined {
    return this.#program.opts<{ readonly config?: string }>().config ?? this.#environment.config
  }

  /** Read the file, if a flag or the environment names one. Rejects with `SettingInvalid`. */
  async load(): Promise<void> {
    const { file } = this
    if (file === undefined) return
    // YAML takes a while to load, which most commands need not wait for.
    const { readSettings } = await import('./settings-file.ts')
    this.#file = await readSettings(file, this.#settings)
  }

  /** What is given of a command's options and of those of all. Throws `SettingInvalid`. */
  given(command: Command): Given[] {
    const given = this.#settings
      .filter((setting) => setting.command === command || setting.command === this.#program)
      .map((setting) => this.#strongest(setting))
      .filter((each) => each !== undefined)
    return given.filter((each) => !given.some((other) => excludes(other, each)))
  }

  /**
   * What is in force: the options of all commands, with those of one command, or with those of any that somebody gave.
   * Throws `SettingInvalid`.
   */
  inForce(command?: Command): InForce[] {
    const commands = command === undefined ? this.#program.commands : [command]
    const given = new Map(commands.flatMap((each) => this.given(each)).map((each) => [each.setting, each]))
    return this.#settings
      .filter((setting) => [this.#program, command].includes(setting.command) || given.has(setting))
      .map((setting) => ({ setting, given: given.get(setting) }))
  }

  /** Whether an option of all commands has its value from where it counts less than another's. By attribute names. */
  isWeaker(one: string, other: string): boolean {
    const [mine, others] = [one, other].map((name) =>
      SOURCES.indexOf(this.#program.getOptionValueSource(name)),
    )
    return mine! < others!
  }

  /** Remarks on variables that look as if they set something, and do not. */
  get remarks(): string[] {
    return this.#environment.unknown(this.#settings).map(({ variable, nearest }) => {
      const hint =
        nearest === undefined ? 'docs/configuration.md lists what there is' : `did you mean ${nearest}?`
      return `${variable} sets nothing: ${hint}`
    })
  }

  #strongest(setting: Setting): Given | undefined {
    const texts = this.#flags.get(setting)
    if (texts !== undefined) {
      const value = setting.command.getOptionValue(setting.option.attributeName())
      return { setting, texts, value, origin: { flag: setting.flag } }
    }
    return this.#environment.given(setting) ?? this.#file.find((given) => given.setting === setting)
  }
}

/** A command that looks at what another one would do has the settings of that. */
function lenderOf(command: Command, program: Command): Command {
  const lender = BORROWERS[command.name()]
  return program.commands.find((one) => one.name() === lender) ?? command
}

/** Of two that do not go together the stronger counts. Throws `SettingInvalid` if both are as strong. */
function excludes(one: Given, other: Given): boolean {
  if (!one.setting.isApartFrom(other.setting) && !other.setting.isApartFrom(one.setting)) return false
  const [mine, others] = [strength(one.origin), strength(other.origin)]
  if (mine !== others) return mine > others
  throw new SettingInvalid(
    placeIn(one.origin, one.setting),
    `it does not go together with ${originName(other.origin)}, ${other.setting.name}: give one of them`,
  )
}
