import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { Output } from '../../src/cli/output.ts'
import { describeProgram } from '../../src/cli/program/program.ts'
import { Configuration } from '../../src/cli/settings/configuration.ts'

/** The command line with an environment of its own. Nothing of what it is told to do is done. */
export class DescribedProgram {
  readonly program: Command
  readonly configuration: Configuration
  #command: Command | undefined

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.program = describeProgram(() => {}, new Output({ json: false, color: false }))
    this.configuration = new Configuration(this.program, env)
    this.program.hook('preAction', async (_, command) => {
      this.#command = command
      await this.configuration.apply(command)
    })
  }

  /** The options that the command gets, and those of all commands. */
  async options(...args: readonly string[]): Promise<Record<string, unknown>> {
    await this.program.parseAsync([...args], { from: 'user' })
    return { ...this.program.opts(), ...this.#command!.opts() }
  }
}

/** A directory with a file of settings in it. */
export class SettingsFolder implements AsyncDisposable {
  readonly dir: string

  static async make(): Promise<SettingsFolder> {
    return new SettingsFolder(await mkdtemp(join(tmpdir(), 'anchorage-settings-')))
  }

  private constructor(dir: string) {
    this.dir = dir
  }

  path(name: string): string {
    return join(this.dir, name)
  }

  /** Resolves with the path. */
  async write(text: string, name = 'anchorage.yaml'): Promise<string> {
    await writeFile(this.path(name), text)
    return this.path(name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.dir, { recursive: true, force: true })
  }
}
