import type { Context } from '../../src/cli/context.ts'
import { Output } from '../../src/cli/output.ts'
import type { LogBackend } from '../../src/log/log.ts'

/** What a command prints, here. */
class Captured extends Output {
  readonly objects: unknown[] = []
  readonly lines: string[] = []

  override object(value: unknown): void {
    this.objects.push(JSON.parse(JSON.stringify(value)))
  }

  override line(text = ''): void {
    this.lines.push(text)
  }
}

export interface Ran {
  readonly code: number
  /** What it printed, with `json`. */
  readonly object: Record<string, unknown>
  /** What it printed otherwise. */
  readonly text: string
}

export interface RunInit {
  readonly log: LogBackend
  /** Default: the group of `Cluster`. */
  readonly group?: string
  /** The path of the network key. */
  readonly networkKey?: string
  readonly json?: boolean
}

/** Runs a command in this process, on a log that is in it. */
export async function run(
  command: (context: Context) => Promise<number>,
  { log, group = 'journals', networkKey, json = true }: RunInit,
): Promise<Ran> {
  const output = new Captured({ json, color: false })
  const name = 'memory'
  const context: Context = {
    log: {
      name,
      flags: undefined,
      isFile: false,
      backendFor: () => log,
      nameFor: () => name,
      remove: async () => {},
    },
    group,
    ...(networkKey !== undefined && { networkKey }),
    output,
    signal: new AbortController().signal,
  }
  const code = await command(context)
  return { code, object: output.objects[0] as Ran['object'], text: output.lines.join('\n') }
}
