/** What says what a machine must hold. */
export interface Model<M> {
  /** Apply the command at the next index. Returns what `apply` must have returned. */
  apply(command: Uint8Array, context: { index: number; timeMs: number }): unknown
  /** The state now, as a text that two equal states share. */
  digest(timeMs: number): string
  /** The same of a real machine. */
  digestOf(machine: M): string
}
