/** Options of what can be waited for, or iterated over. */
export interface SignalOptions {
  /**
   * Ends it when it aborts: a promise rejects with the signal's reason, an iteration ends without an error. An append
   * that is on its way rejects with `AppendUncertain`. Default: none.
   */
  readonly signal?: AbortSignal
}
