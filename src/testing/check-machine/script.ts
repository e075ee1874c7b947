import { checkBytes, checkInteger } from '../../bounds.ts'
import type { CommandContext } from '../../machine/machine.ts'

/** A command, and the machine time at which it is applied, in whole milliseconds. */
export interface TimedCommand {
  readonly command: Uint8Array
  /** Default: a second after the command before; the first one is of 2026-01-01. */
  readonly timeMs?: number
}

/** A command to apply, and all that goes with it. */
export interface Step {
  /** Its number in the list that was given, from 0. */
  readonly number: number
  readonly command: Uint8Array
  readonly context: Pick<CommandContext, 'position' | 'timeMs'>
}

const FIRST_MS = Date.UTC(2026, 0, 1)
const STEP_MS = 1_000
export const EPOCH = 'checkMachine'

/** The commands of a check, in order. Each has bytes of its own, which nobody else can change. */
export class Script {
  readonly steps: readonly Step[]
  /** After how many commands states are compared: at the beginning, at the end, and between, in order. */
  readonly places: readonly number[]

  /** @param placesMax how many places to compare states at, at least 2 */
  private constructor(steps: readonly Step[], placesMax: number) {
    this.steps = steps
    this.places = spread(steps.length, placesMax - 1)
  }

  /** Throws `RangeError` for something that is no command, for a time that goes back, and for no commands. */
  static async of(
    commands: Iterable<Uint8Array | TimedCommand> | AsyncIterable<Uint8Array | TimedCommand>,
    placesMax: number,
  ): Promise<Script> {
    const steps: Step[] = []
    let timeMs = FIRST_MS - STEP_MS
    for await (const given of commands) {
      const number = steps.length
      const timed = given instanceof Uint8Array ? { command: given } : given
      checkBytes(`commands[${number}]`, timed.command)
      if (timed.timeMs !== undefined)
        checkInteger(`commands[${number}].timeMs`, timed.timeMs, number === 0 ? 0 : timeMs)
      timeMs = timed.timeMs ?? timeMs + STEP_MS
      steps.push({
        number,
        command: Uint8Array.from(timed.command),
        context: { position: { epoch: EPOCH, index: number + 1 }, timeMs },
      })
    }
    if (steps.length === 0)
      throw new RangeError('there are no commands; give some that the machine understands')
    return new Script(steps, placesMax)
  }

  get length(): number {
    return this.steps.length
  }

  /** The steps from one place to another. */
  between(from: number, to: number): readonly Step[] {
    return this.steps.slice(from, to)
  }

  /** Machine time after so many commands. */
  timeAt(place: number): number {
    return this.steps[Math.max(0, place - 1)]!.context.timeMs
  }

  /** The same commands, after so many others, from a machine time on. */
  after(count: number, timeMs: number): readonly Step[] {
    const aheadMs = timeMs - this.steps[0]!.context.timeMs
    return this.steps.map(({ number, command, context: { position, timeMs } }) => ({
      number,
      command,
      context: {
        position: { ...position, index: count + position.index },
        timeMs: timeMs + aheadMs,
      },
    }))
  }

  /** Some of the places, the first and the last among them. */
  some(count: number): readonly number[] {
    return spread(this.places.length - 1, count - 1).map((n) => this.places[n]!)
  }
}

/** Integers from 0 to `last`, both included, at most `parts` + 1 of them, evenly. */
export function spread(last: number, parts: number): readonly number[] {
  const wanted = Math.min(last, Math.max(1, parts))
  const all = Array.from({ length: wanted + 1 }, (_, n) => Math.round((n * last) / Math.max(1, wanted)))
  return [...new Set(all)]
}
