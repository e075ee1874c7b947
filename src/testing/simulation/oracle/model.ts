import type { CommandContext } from '../../../machine/machine.ts'

/** A digest, or how to compute it: later commands must not change what comes of it. */
export type Digest = string | (() => string)

/**
 * Says what a machine must hold and answer, command by command, from the beginning of the log. It must not
 * share code with the machine, or it shares its mistakes.
 */
export interface Model<Machine> {
  /**
   * Apply the next command. Returns what the machine's `apply` must return; undefined for a malformed
   * command, which everybody skips.
   */
  apply(command: Uint8Array, context: CommandContext): unknown
  /** The group goes over to another version of the machine. Default: there is only one. */
  upgrade?(from: string, to: string): void
  /**
   * The state at this machine time, which is never before that of the newest command. Two states with the
   * same digest are equal.
   *
   * @param signature the version of the machine that the group speaks there
   */
  digest(timeMs: number, signature: string): Digest
  /**
   * The same of a real machine, which must be readable. It is asked often: each time a machine has moved.
   *
   * @param timeMs machine time at the machine's position
   * @param signature what the group speaks at the machine's position
   */
  digestOf(machine: Machine, timeMs: number, signature: string): string
  /** How much `digestOf` has to read. A large machine is not read after each entry. Default: 1. */
  sizeOf?(machine: Machine): number
  /** Machine time at which something dies next, after the newest command. Default: nothing ever does. */
  readonly dueMs?: number | undefined
  /** How the machine differs from the state now, a line each. For people, so it may take long. */
  explain?(machine: Machine, timeMs: number, signature: string): string[]
}
