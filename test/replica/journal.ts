import {
  type CommandContext,
  type Installation,
  MalformedCommand,
  type Snapshot,
  type StateMachine,
} from '../../src/machine/machine.ts'

/** A state machine that keeps the lines it is given. Its result is how many there are. */
export class Journal implements StateMachine<number> {
  readonly signature: string = 'journal/1'
  lines: string[] = []
  /** What this one makes of a line; a machine must not have a mind of its own. */
  twist: (line: string) => string = (line) => line

  apply(command: Uint8Array, _context?: CommandContext): number {
    const line = Buffer.from(command).toString()
    if (line === 'malformed') throw new MalformedCommand('a journal does not take this line')
    if (line === 'unbearable') throw new Error('the journal tore')
    this.lines.push(this.twist(line))
    return this.lines.length
  }

  capture(): Snapshot {
    const lines = [...this.lines]
    return { size: lines.length, items: () => lines.values().map((line) => Buffer.from(line)), release() {} }
  }

  install(): Installation {
    const lines: string[] = []
    return {
      add: (items) => {
        for (const item of items) lines.push(Buffer.from(item).toString())
      },
      commit: () => {
        this.lines = lines
      },
    }
  }
}

export const line = (text: string): Uint8Array => Buffer.from(text)
