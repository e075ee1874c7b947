import { type CommandContext, MalformedCommand, type StateMachine } from '../../../machine/machine.ts'
import { asError } from '../../../thrown.ts'
import { chained, hashOfBytes } from './digest.ts'
import type { Digest, Model } from './model.ts'

/** Items that an explanation names. */
const EXPLAINED = 10

/**
 * The model for any machine: another instance of its newest version, to which every command is applied from the
 * log's beginning, on one thread, without a pause and without snapshots. It finds every mistake but those of
 * `apply`, `upgrade` and `capture` themselves: those it makes as well.
 */
export class ReplayModel<Machine extends StateMachine> implements Model<Machine> {
  readonly #machine: Machine
  #timeMs = 0
  #failure: string | undefined

  /** @param machine a fresh one of the same kind, which nobody else uses */
  constructor(machine: Machine) {
    this.#machine = machine
  }

  apply(command: Uint8Array, context: CommandContext): unknown {
    if (this.#failure !== undefined) return undefined
    this.#advance(context.timeMs)
    try {
      return this.#machine.apply(command, context)
    } catch (error) {
      // A replica stops at a command that its machine cannot apply. So no machine is ever in this state.
      if (!(error instanceof MalformedCommand))
        this.#failure = `entry ${context.position.index} cannot be applied`
      return undefined
    }
  }

  upgrade(from: string, to: string): void {
    if (this.#failure !== undefined || from === to) return
    try {
      this.#machine.upgrade?.(from, to)
    } catch (error) {
      // As above: a replica that speaks neither stops there.
      this.#failure = `it does not go from ${from} to ${to}: ${asError(error).message}`
    }
  }

  /**
   * Computed when it is asked for, from a snapshot: that costs all items, and is rarely asked for each entry.
   */
  digest(timeMs: number, signature: string): Digest {
    if (this.#failure !== undefined) return this.#failure
    this.#advance(timeMs)
    const snapshot = this.#machine.capture(signature)
    return () => digestFrom(snapshot)
  }

  digestOf(machine: Machine, _timeMs: number, signature: string): string {
    try {
      return digestFrom(machine.capture(signature))
    } catch (error) {
      return `it cannot be captured as ${signature}: ${asError(error).message}`
    }
  }

  explain(machine: Machine, timeMs: number, signature: string): string[] {
    if (this.#failure !== undefined) return [this.#failure]
    this.#advance(timeMs)
    let found: string[]
    try {
      found = itemsOf(machine, signature)
    } catch (error) {
      return [asError(error).message]
    }
    const expected = itemsOf(this.#machine, signature)
    const lines: string[] = []
    for (let i = 0; i < Math.max(expected.length, found.length); i++) {
      if (expected[i] === found[i]) continue
      if (lines.length === EXPLAINED) return [...lines, 'and more']
      lines.push(`item ${i}: expected ${expected[i] ?? 'none'}, found ${found[i] ?? 'none'}`)
    }
    return lines
  }

  #advance(timeMs: number): void {
    if (timeMs <= this.#timeMs) return
    this.#timeMs = timeMs
    this.#machine.advance?.(timeMs)
  }
}

function digestFrom(snapshot: ReturnType<StateMachine['capture']>): string {
  let count = 0
  let hash = 0
  for (const item of snapshot.items()) {
    count++
    hash = chained(hash, hashOfBytes(item))
  }
  snapshot.release()
  return snapshot.size === count ? `${count} items, ${hash}` : `${count} items, but it says ${snapshot.size}`
}

function itemsOf(machine: StateMachine, signature: string): string[] {
  const snapshot = machine.capture(signature)
  const items = Array.from(snapshot.items(), (item) => JSON.stringify(Buffer.from(item).toString('latin1')))
  snapshot.release()
  return items
}
