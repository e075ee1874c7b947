/**
 * A place in a group's log.
 *
 * `epoch` names one incarnation of the log: a log that is deleted and made again has another epoch, and
 * positions of different epochs cannot be compared. `index` counts entries from 1, without gaps;
 * 0 is the place before the first entry.
 */
export interface Position {
  readonly epoch: string
  readonly index: number
}

/** True when both positions are the same place in the same incarnation of the log. */
export function samePosition(a: Position, b: Position): boolean {
  return a.epoch === b.epoch && a.index === b.index
}

/** `epoch` shortened to 8 characters, then the index: for people, not for parsing. */
export function formatPosition(position: Position): string {
  return `${position.epoch.slice(0, 8)}:${position.index}`
}

/** The form used as a key in maps: unique for each position. */
export function positionKey(position: Position): string {
  return `${position.epoch}:${position.index}`
}
