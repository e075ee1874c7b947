/** What says what a machine must hold. */
export interface Model<M> {
  /** Apply the command at the next index. Returns what `apply` must have returned; undefined for malformed bytes. */
  apply(command: Uint8Array, context: { index: number; timeMs: number }): unknown
  /** The state at this machine time, as a text that two equal states share. It is asked after every entry. */
  digest(timeMs: number): string
  /** The same of a real machine. */
  digestOf(machine: M, timeMs: number): string
  /** How much `digestOf` has to read. A large machine is not read after each entry. Default: 1. */
  sizeOf?(machine: M): number
}
