export interface SignalOptions {
  readonly signal?: AbortSignal
}
