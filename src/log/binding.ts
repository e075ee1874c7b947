import { type LogErrorOptions, LogMismatch } from './errors.ts'
import type { LogInit } from './log.ts'

/** A version that the group went over to, as a leader noted it. */
export interface Upgrade {
  /** The machine's signature from then on. */
  readonly signature: string
  /** An entry at which that version was active. */
  readonly at: number
}

/** Whose log it is: what it was made for, and the versions that its group went over to since. */
export class Binding {
  readonly group: string
  /** The machine's signature when the log was made. */
  readonly signature: string
  /** Those that a backend keeps: the newest at least, which is the last one. */
  readonly upgrades: readonly Upgrade[]

  constructor(group: string, signature: string, upgrades: readonly Upgrade[] = []) {
    this.group = group
    this.signature = signature
    this.upgrades = upgrades
  }

  /** The newest version that was noted. */
  get upgraded(): string | undefined {
    return this.upgrades.at(-1)?.signature
  }

  /** Throws `LogMismatch` for a program of another group, or one that does not speak the log's version. */
  check({ group, signature, older = [] }: LogInit, options: LogErrorOptions = {}): void {
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
    return signature !== (newest?.signature ?? this.signature) && at > (newest?.at ?? -1)
  }

  noted(upgrade: Upgrade): Binding {
    if (!this.isNews(upgrade)) return this
    return new Binding(this.group, this.signature, [...this.upgrades, upgrade])
  }

  /** As it was when `index` was the newest entry. */
  rewound(index: number): Binding {
    const upgrades = this.upgrades.filter(({ at }) => at <= index)
    return new Binding(this.group, this.signature, upgrades)
  }
}
