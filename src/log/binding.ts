import { LogMismatch, type LogMismatchOptions } from './errors.ts'
import type { LogInit } from './log.ts'

/**
 * A version that the group went over to, as a leader noted it. The first note may name the version that the log was
 * made for: it says that the group's own state has a format that version 0.1.0 of this package does not know.
 */
export interface Upgrade {
  /** The machine's signature from then on. */
  readonly signature: string
  /** An entry at which that version was active. */
  readonly at: number
}

/**
 * Follows the signature that a log of a snapshot keeps. A version that knows nothing of such logs, as 0.1.0,
 * finds another signature than its machine's and refuses the log: it would begin with an empty state. No
 * signature has a line feed.
 */
const SNAPSHOT = '\n(begins with a snapshot, which anchorage 0.1 cannot read)'

/** A signature as a new log keeps it. */
export function keptSignature(signature: string, { snapshot = false }: Pick<LogInit, 'snapshot'>): string {
  return snapshot ? signature + SNAPSHOT : signature
}

/** Whose log it is: what it was made for, and the versions that its group went over to since. */
export class Binding {
  readonly group: string
  /** The machine's signature when the log was made. */
  readonly signature: string
  /** The same as the log keeps it: see `keptSignature`. */
  readonly kept: string
  /** Those that a backend keeps: the newest at least, which is the last one. */
  readonly upgrades: readonly Upgrade[]

  constructor(group: string, kept: string, upgrades: readonly Upgrade[] = []) {
    this.group = group
    this.signature = kept.endsWith(SNAPSHOT) ? kept.slice(0, -SNAPSHOT.length) : kept
    this.kept = kept
    this.upgrades = upgrades
  }

  /** The newest version that was noted. */
  get upgraded(): string | undefined {
    return this.upgrades.at(-1)?.signature
  }

  /** Throws `LogMismatch` for a program of another group, or one that does not speak the log's version. */
  check({ group, signature, older = [] }: LogInit, options: LogMismatchOptions = {}): void {
    if (this.group !== group) throw new LogMismatch('group', group, this.group, options)
    const found = this.upgraded ?? this.signature
    if (signature === undefined || signature === found || older.includes(found)) return
    throw new LogMismatch('signature', signature, found, { ...options, older, made: this.signature })
  }

  /**
   * Whether a note says something new. A leader that was paused may come late with its note, so one that is
   * from further back in the log than the newest says nothing.
   */
  isNews({ signature, at }: Upgrade): boolean {
    const newest = this.upgrades.at(-1)
    return newest === undefined || (signature !== newest.signature && at > newest.at)
  }

  /** A binding with this note as its newest. It is this binding itself if the note says nothing new. */
  noted(upgrade: Upgrade): Binding {
    if (!this.isNews(upgrade)) return this
    return new Binding(this.group, this.kept, [...this.upgrades, upgrade])
  }

  /** As it was when `index` was the newest entry. */
  rewound(index: number): Binding {
    const upgrades = this.upgrades.filter(({ at }) => at <= index)
    return new Binding(this.group, this.kept, upgrades)
  }
}
