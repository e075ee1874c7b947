/** Options of what can be waited for, or iterated over. */
export interface SignalOptions {
  /**
   * Ends it when it aborts: an iteration ends without an error, and a promise rejects with the signal's reason. An
   * append that is on its way rejects with `AppendUncertain`, and a method of a replica whose time is up, as
   * `AbortSignal.timeout` has it, with `NotInTime`. Default: none.
   */
  readonly signal?: AbortSignal
}
